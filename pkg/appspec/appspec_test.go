package appspec_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

const head = "version: 0.0\nos: linux\n"

func TestHooksAreReadAsTheAgentReadsThem(t *testing.T) {
	spec, err := appspec.Parse("appspec.yml", []byte(head+`
x-anything: {a: 1}
files:
permissions:
hooks:
  ValidateService:
  AfterInstall:
    - location: " s/one.sh "
    - location: /s/./two.sh
      timeout: "30"
      runas: deploy
    - {location: "s/my script.sh", timeout: 2.9, sudo: true}
  BeforeInstall: []
`))
	if err != nil {
		t.Fatal(err)
	}
	scripts := spec.Hooks[fleet.AfterInstall]
	for i := range scripts {
		if scripts[i].Pos.File != "appspec.yml" || scripts[i].Pos.Line == 0 {
			t.Errorf("script %d has no position: %v", i, scripts[i].Pos)
		}
		scripts[i].Pos = yaml.Pos{}
	}
	want := []appspec.Script{
		{Location: "s/one.sh", Timeout: time.Hour},
		{Location: "s/two.sh", Timeout: 30 * time.Second, RunAs: "deploy"},
		{Location: "s/my script.sh", Timeout: 2 * time.Second, Sudo: true},
	}
	if !reflect.DeepEqual(scripts, want) || len(spec.Hooks) != 1 {
		t.Errorf("got %+v, want AfterInstall alone with %+v", spec.Hooks, want)
	}
}

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	hook := func(s string) string { return head + "hooks:\n  AfterInstall:\n    - " + s + "\n" }
	for name, c := range map[string]struct{ in, want string }{
		"empty":             {"", "f.yml:1:1: the application specification file was empty"},
		"list":              {"- a", "f.yml:1:1: expected a mapping"},
		"tab":               {head + "hooks:\n\tx: 1", "f.yml:4:"},
		"version missing":   {"os: linux", "f.yml:1:1: invalid version value ()"},
		"version quoted":    {"version: \"0.0\"\nos: linux", "f.yml:1:10: invalid version value (0.0)"},
		"version one":       {"version: 1.0\nos: linux", "f.yml:1:10: invalid version value (1.0)"},
		"os missing":        {"version: 0.0", "f.yml:1:1: unsupported operating system ()"},
		"windows":           {"version: 0\nos: windows", "f.yml:2:5: unsupported operating system (windows)"},
		"files a mapping":   {head + "files: {a: b}", "f.yml:3:8: files must be a list"},
		"hooks a list":      {head + "hooks: [a]", "f.yml:3:8: hooks must be a mapping"},
		"hook not a list":   {head + "hooks:\n  AfterInstall:\n    location: x", "f.yml:5:5: the hook AfterInstall must be a list"},
		"unknown event":     {head + "hooks:\n  AfterInstal: []", "f.yml:4:3: the file contains unknown lifecycle events: \"AfterInstal\"; known: BeforeBlockTraffic, AfterBlockTraffic, ApplicationStop"},
		"script is text":    {hook("s/x.sh"), "f.yml:5:7: a script must be a mapping"},
		"no location":       {hook("timeout: 3"), "f.yml:5:7: a script with no location value"},
		"location outside":  {hook("location: ../x"), "f.yml:5:17: the location \"../x\""},
		"location a list":   {hook("location: [x]"), "f.yml:5:17: location must be text"},
		"timeout zero":      {hook("{location: x, timeout: 0}"), "f.yml:5:30: invalid timeout value (0)"},
		"timeout with unit": {hook("{location: x, timeout: 5m}"), "invalid timeout value (5m)"},
		"timeout NaN":       {hook("{location: x, timeout: NaN}"), "invalid timeout value (NaN)"},
		"twice the key":     {head + "os: linux", "f.yml:3:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := appspec.Parse("f.yml", []byte(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := appspec.Parse("f.yml", []byte("version: 1\nos: mac\nhooks: {Nope: [], AfterInstall: [{}]}"))
	var all yaml.Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Errorf("want 4 complaints, got %v", err)
	}
}

func TestWhatHasNoEffectIsNoted(t *testing.T) {
	spec, err := appspec.Parse("a.yml", []byte(head+"files:\n  - source: /\n    destination: /x\nhooks:\n  Install:\n    - location: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Concat(spec.Notes, spec.Unread("releases"))
	want := []string{"a.yml:7:3: scripts of the reserved event Install are never run", "a.yml:4:3: files is ignored with layout releases"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "hooks:\n  AfterInstall:\n    - location: s/x.sh\n      timeout: 3\n      runas: a\n"))
	f.Add([]byte(head + "files: [{source: /, destination: /x}]\nhooks: {BeforeInstall: [&a {location: /x}, *a]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := appspec.Parse("f.yml", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yml:") {
				t.Errorf("complaint without its place: %v", err)
			}
			return
		}
		for event, scripts := range spec.Hooks {
			for _, s := range scripts {
				if !filepath.IsLocal(s.Location) || s.Timeout <= 0 || !slices.Contains(fleet.Lifecycle(), event) {
					t.Errorf("accepted %s: %+v", event, s)
				}
			}
		}
	})
}
