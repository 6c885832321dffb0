package appspec_test

import (
	"errors"
	"fmt"
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
		{Location: "s/one.sh", Written: "s/one.sh", Timeout: time.Hour},
		{Location: "s/two.sh", Written: "/s/./two.sh", Timeout: 30 * time.Second, RunAs: "deploy"},
		{Location: "s/my script.sh", Written: "s/my script.sh", Timeout: 2 * time.Second, Sudo: true},
	}
	if !reflect.DeepEqual(scripts, want) || len(spec.Hooks) != 1 {
		t.Errorf("got %+v, want AfterInstall alone with %+v", spec.Hooks, want)
	}
}

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	hook := func(s string) string { return head + "hooks:\n  AfterInstall:\n    - " + s + "\n" }
	files := func(s string) string { return head + "files:\n  - " + s + "\n" }
	permission := func(s string) string { return head + "permissions:\n  - " + s + "\n" }
	for name, c := range map[string]struct{ in, want string }{
		"empty":             {"", "f.yml:1:1: the application specification file was empty"},
		"list":              {"- a", "f.yml:1:1: the application specification file must be a mapping"},
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
		"timeout zero":      {hook("{location: x, timeout: 0}"), "f.yml:5:30: invalid timeout value was provided (0)"},
		"timeout with unit": {hook("{location: x, timeout: 5m}"), "invalid timeout value was provided (5m)"},
		"timeout NaN":       {hook("{location: x, timeout: NaN}"), "invalid timeout value was provided (NaN)"},
		"no source":         {files("destination: /x"), "f.yml:4:5: the entry of files specifies a destination file, but no source file"},
		"no destination":    {files("source: a"), "f.yml:4:5: the entry of files specifies only a source file (a)"},
		"source outside":    {files("{source: a/../../b, destination: /x}"), "f.yml:4:14: the source"},
		"relative":          {files("{source: a, destination: x}"), "f.yml:4:30: the destination \"x\" is relative"},
		"exists":            {head + "file_exists_behavior: retain", "f.yml:3:23: invalid file_exists_behavior value (retain)"},
		"no object":         {permission("mode: 644"), "f.yml:4:5: a permission listed in the application specification file has no object value"},
		"mode too long":     {permission("{object: /x, mode: 10755}"), "f.yml:4:24: the length of a permissions mode (10755)"},
		"mode of letters":   {permission("{object: /x, mode: 6a4}"), "contains an invalid character (a)"},
		"mode of nines":     {permission("{object: /x, mode: 0799}"), "contains an invalid character (9)"},
		"type":              {permission("{object: /x, type: [link]}"), "not supported for permissions (link)"},
		"type not a list":   {permission("{object: /x, type: file}"), "type must be a list"},
		"acl":               {permission("{object: /x, acls: ['a:b:c:d:r']}"), "Invalid acl entry (a:b:c:d:r)"},
		"acl of a mask":     {permission("{object: /x, acls: ['m:name:r']}"), "Invalid acl entry"},
		"acl of the owner":  {permission("{object: /x, acls: ['u::rw']}"), "Use mode to set the base acl entry (u::rw)"},
		"acl permissions":   {permission("{object: /x, acls: ['u:a:rz']}"), "contains an invalid character (z)"},
		"acl two at once":   {permission("{object: /x, acls: ['u:a,u:b:r']}"), "Invalid acl entry"},
		"context":           {permission("{object: /x, context: {user: u}}"), "invalid context type"},
		"context range":     {permission("{object: /x, context: {type: t, range: 's3-s1'}}"), "invalid SELinux range specified (s3-s1)"},
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
	want := []string{"a.yml:7:3: scripts of the reserved event Install are never run", "a.yml:4:5: files is ignored with layout releases"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOfTwoKeysTheLastCountsAndIsNoted(t *testing.T) {
	spec, err := appspec.Parse("a.yml", []byte(head+"hooks:\n  AfterInstall:\n    - location: a\n      location: b\n"))
	if err != nil || spec.Hooks[fleet.AfterInstall][0].Location != "b" || len(spec.Notes) != 1 || !strings.Contains(spec.Notes[0], "a.yml:6:7: duplicate key") {
		t.Errorf("got %+v, %v", spec, err)
	}
}

func TestFilesAndPermissionsAreReadAsTheAgentReadsThem(t *testing.T) {
	spec, err := appspec.Parse("a.yml", []byte(head+`
file_exists_behavior: RETAIN
files:
  - {source: /, destination: /srv//app/}
  - {source: ./conf/a, destination: /etc/../etc/x}
permissions:
  - {object: " /srv/app ", mode: 0644, type: [file], except: [x]}
  - {object: /srv, pattern: app, mode: 7, owner: a, group: b, acls: ["d:g:web:5", "m:rx", "nobody:w"]}
  - {object: /srv, context: {type: httpd_t, name: u, range: "s0-s3:c1,c4.c9"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []appspec.File{{Source: ".", Destination: "/srv/app"}, {Source: "conf/a", Destination: "/etc/x"}} {
		if got := spec.Files[i]; got.Source != want.Source || got.Destination != want.Destination {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	one, two, three := spec.Permissions[0], spec.Permissions[1], spec.Permissions[2]
	if one.Object != "/srv/app" || *one.Mode != 0o644 || one.Pattern != "**" || !one.Files || one.Directories || len(one.Except) != 1 {
		t.Errorf("got %+v", one)
	}
	if *two.Mode != 7 || two.Owner != "a" || two.Group != "b" || !two.Files || !two.Directories || two.Pattern != "app" {
		t.Errorf("got %+v", two)
	}
	if got := fmt.Sprint(two.ACLs); got != "[default:group:web:r-x mask::r-x user:nobody:-w-]" {
		t.Errorf("got %s", got)
	}
	if got := *three.Context; got != (appspec.Context{Type: "httpd_t", User: "u", Range: "s0-s3:c1,c4.c9"}) || spec.Exists != appspec.Retain {
		t.Errorf("got %+v, %s", got, spec.Exists)
	}
}

func TestAnACLGetsTheEntriesThatSetfaclNeeds(t *testing.T) {
	entries := []appspec.ACL{{Type: "user", Name: "a", Perms: "rw-"}, {Default: true, Type: "group", Perms: "r-x"}, {Default: true, Type: "user", Name: "a", Perms: "r--"}}
	var got []string
	for _, a := range appspec.FullACL(entries, 0o640) {
		got = append(got, a.String())
	}
	slices.Sort(got)
	want := []string{
		"default:group::r-x", "default:mask::r-x", "default:other::---", "default:user::rw-", "default:user:a:r--",
		"group::r--", "mask::r--", "other::---", "user::rw-", "user:a:rw-",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "hooks:\n  AfterInstall:\n    - location: s/x.sh\n      timeout: 3\n      runas: a\n"))
	f.Add([]byte(head + "files: [{source: /, destination: /x}]\nhooks: {BeforeInstall: [&a {location: /x}, *a]}"))
	f.Add([]byte(head + "permissions: [{object: /x, pattern: 'a*', except: [b], mode: 0644, acls: ['d:u:a:rw', 'm:7'], context: {type: t, range: 's0:c1.c3'}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := appspec.Parse("f.yml", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yml:") {
				t.Errorf("complaint without its place: %v", err)
			}
			return
		}
		for _, file := range spec.Files {
			if !filepath.IsLocal(file.Source) || !filepath.IsAbs(file.Destination) || filepath.Clean(file.Destination) != file.Destination {
				t.Errorf("accepted %+v", file)
			}
		}
		for _, p := range spec.Permissions {
			for _, a := range p.ACLs {
				if strings.ContainsAny(a.String(), ", \t\n") || strings.Count(a.String(), ":") > 3 {
					t.Errorf("accepted acl %q", a)
				}
			}
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
