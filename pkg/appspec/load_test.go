package appspec_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestATreeIsCheckedWithItsScripts(t *testing.T) {
	spec := func(location string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(head + "hooks:\n  AfterInstall:\n    - location: " + location)}
	}
	script := &fstest.MapFile{Data: []byte("#!/bin/sh\n")}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string // in the error
	}{
		"no file":          {fstest.MapFS{"s/x.sh": script}, ""},
		"script there":     {fstest.MapFS{"appspec.yml": spec("/s/x.sh"), "s/x.sh": script}, ""},
		"script missing":   {fstest.MapFS{"appspec.yaml": spec("s/y.sh"), "s/x.sh": script}, "appspec.yaml:5:7: Script does not exist at specified location: s/y.sh"},
		"script a folder":  {fstest.MapFS{"appspec.yml": spec("s"), "s/x.sh": script}, "script s is not a file"},
		"saved on windows": {fstest.MapFS{"appspec.yml": spec("x"), "x": {Data: []byte("#!/bin/sh\r\n")}}, "script x: its first line ends in CR LF"},
		"mistake":          {fstest.MapFS{"appspec.yml": {Data: []byte("version: 1.0\nos: linux")}}, "appspec.yml:1:10: invalid version"},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := appspec.Load(c.tree)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if name == "script there" && len(spec.Hooks[fleet.AfterInstall]) != 1 {
				t.Errorf("hooks %v", spec.Hooks)
			}
		})
	}
}
