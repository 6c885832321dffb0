package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
)

var _ registry.Section = config.Section{}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func parsed(t *testing.T, register func(*pflag.FlagSet), args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	register(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := write(t, "master.yml", "state_dir: /file\napps: /file\nbus: {listen: \"127.0.0.1:1\"}\n")
	t.Setenv("BRINE_STATE_DIR", "/env")
	t.Setenv("BRINE_BUS_LISTEN", "127.0.0.1:2")
	t.Setenv("BRINE_LOG_LEVEL", "") // empty is not set
	m, err := config.LoadMaster(file, parsed(t, config.MasterFlags, "--bus-listen", "127.0.0.1:3"))
	if err != nil {
		t.Fatal(err)
	}
	want := config.DefaultMaster()
	want.Bus.Listen, want.StateDir, want.Apps = "127.0.0.1:3", "/env", "/file"
	want.Store = m.Store
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestTheConfigurationFileCanBeNamedByEnvironment(t *testing.T) {
	t.Setenv("BRINE_CONFIG", write(t, "brine.yml", "output: json\n"))
	c, err := config.LoadCLI("", nil)
	if err != nil || c.Output != "json" || c.Socket != config.DefaultSocket {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestANamedFileMustExist(t *testing.T) {
	_, err := config.LoadMaster("/no/such/master.yml", nil)
	if err == nil || !strings.Contains(err.Error(), "/no/such/master.yml") {
		t.Errorf("got %v", err)
	}
}

func TestUsersOwnCLIFileIsPreferred(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	if err := os.MkdirAll(filepath.Join(home, ".config/brine"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".config/brine/brine.yml"), []byte("socket: /own.sock\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.LoadCLI("", nil); err != nil || c.Socket != "/own.sock" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMapsKeepTheirKeysAndPlugInsDecodeTheirOwnSection(t *testing.T) {
	m, err := config.LoadMaster(write(t, "master.yml", `
state_dir: /state
balancers:
  Edge.Proxy: {type: haproxy, Socket: /run/h.sock}
returners:
  log: {type: file, path: /x}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	edge := m.Balancers["Edge.Proxy"]
	var c struct {
		Socket string `yaml:"Socket"`
	}
	if err := edge.Decode(&c); err != nil || edge.Type != "haproxy" || c.Socket != "/run/h.sock" {
		t.Errorf("%+v %+v, %v", edge, c, err)
	}
	var store struct{ Path string }
	if err := m.Store.Decode(&store); err != nil || m.Store.Type != "dir" || store.Path != "/state/store" {
		t.Errorf("default store %q %+v, %v", m.Store.Type, store, err)
	}
	err = m.Returners["log"].Decode(&struct{ Pathh string }{})
	if err == nil || !strings.Contains(err.Error(), `master.yml:6:21: unknown key "path"; did you mean "pathh"?`) {
		t.Errorf("a plug-in's mistake: %v", err)
	}
}

func TestMinionTagsAndGrainsAreTakenAsWritten(t *testing.T) {
	t.Setenv("BRINE_TOKEN", "s3cr3t")
	m, err := config.LoadMinion(write(t, "minion.yml", `
id: web1
master: salt.example.com:4510
tags: {Role: web, build: 007}
grains: {Rack.Row: {A: [1, two]}}
cache: {archives: 3, size: 10 MiB}
`), parsed(t, config.MinionFlags, "--startup=highstate"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Tags, fleet.Tags{"Role": "web", "build": "007"}) {
		t.Errorf("tags %v", m.Tags)
	}
	if want := (fleet.Grains{"Rack.Row": map[string]any{"A": []any{1, "two"}}}); !reflect.DeepEqual(m.Grains, want) {
		t.Errorf("grains %v", m.Grains)
	}
	if archives, bytes := m.Cache.Limits(); archives != 3 || bytes != 10<<20 {
		t.Errorf("cache of %d archives, %d bytes", archives, bytes)
	}
	if m.Token.Reveal() != "s3cr3t" || m.Startup != config.StartupHighstate {
		t.Errorf("%+v", m)
	}
}

func TestASecretIsNoFlag(t *testing.T) {
	fs := parsed(t, config.MinionFlags)
	if fs.Lookup("token") != nil || fs.Lookup("token-file") == nil {
		t.Error("--token would show the token in the list of processes")
	}
	fs.VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(f.Usage, "BRINE_") {
			t.Errorf("--%s has the help %q", f.Name, f.Usage)
		}
	})
}

func TestMistakesAreToldWhereTheyWereMade(t *testing.T) {
	tests := map[string]struct {
		file string
		env  map[string]string
		args []string
		want []string
	}{
		"unknown key": {file: "bus:\n  lisen: x\n", want: []string{`master.yml:2:3: unknown key "lisen"; did you mean "listen"?` + "\n    lisen: x"}},
		"values": {
			file: "bus: {listen: 4510}\nlog:\n  level: loud\napi: {mode: rw}\n",
			want: []string{`master.yml:1:15: bus.listen: "4510" is not host:port`, `master.yml:3:10: log.level: "loud" is unknown`, `master.yml:4:13: api.mode: "rw" is not`},
		},
		"environment":          {env: map[string]string{"BRINE_LOG_FORMAT": "jsn"}, want: []string{`BRINE_LOG_FORMAT: "jsn" is unknown; did you mean "json"?`}},
		"flag":                 {args: []string{"--http-listen=x"}, want: []string{`--http-listen: "x" is not host:port`}},
		"interval":             {file: "bus: {heartbeat: 15}\n", want: []string{`master.yml:1:18: bus.heartbeat: "15" is not a duration from 1s to 10m`}},
		"section without type": {file: "balancers:\n  lb: {socket: /x}\n", want: []string{`master.yml:2:7: the key "type" is missing`}},
		"empty section":        {file: "returners:\n  log:\n", want: []string{`master.yml:2:3: log needs a type`}},
		"name of a section":    {file: "returners:\n  a/b: {type: file}\n", want: []string{`master.yml:2:3: "a/b" is not a name`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			_, err := config.LoadMaster(write(t, "master.yml", tt.file), parsed(t, config.MasterFlags, tt.args...))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
}

func TestAMinionWithoutMasterIsToldHowToSetIt(t *testing.T) {
	_, err := config.LoadMinion(write(t, "minion.yml", "id: web1\n"), parsed(t, config.MinionFlags))
	if err == nil || !strings.Contains(err.Error(), "--master") || !strings.Contains(err.Error(), "BRINE_MASTER") {
		t.Errorf("got %v", err)
	}
}

func TestACacheOfNonsenseIsRefusedWhereItIsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"{archives: 0}":               `minion.yml:1:19: cache.archives: "0" is not a number above 0`,
		"{size: lots}":                `minion.yml:1:15: cache.size: "lots" is not a size such as 500MiB or 2GiB`,
		"{size: 99999999999999999TB}": `minion.yml:1:15: cache.size: "99999999999999999TB" is not a size`,
	} {
		_, err := config.LoadMinion(write(t, "minion.yml", "cache: "+text+"\nid: web1\nmaster: m:1\n"), parsed(t, config.MinionFlags))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRootsAreWrittenAsPeopleLike(t *testing.T) {
	git := config.Root{Git: "https://git.example.com/s.git", Ref: "main", Path: "salt"}
	for text, want := range map[string]config.Roots{
		"/a":       {"base": {{Dir: "/a"}}},
		"[/a, /b]": {"base": {{Dir: "/a"}, {Dir: "/b"}}},
		"[/a, {git: https://git.example.com/s.git, ref: main, path: salt}]":              {"base": {{Dir: "/a"}, git}},
		"{git: https://git.example.com/s.git, ref: main, path: salt}":                    {"base": {git}},
		"{base: /a, dev: [{git: https://git.example.com/s.git, ref: main, path: salt}]}": {"base": {{Dir: "/a"}}, "dev": {git}},
	} {
		file := filepath.Join(t.TempDir(), "master.yml")
		if err := os.WriteFile(file, []byte("states: {root: "+text+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.LoadMaster(file, nil)
		if err != nil || !reflect.DeepEqual(got.States.Root, want) || !reflect.DeepEqual(got.States.Pillar, config.DefaultMaster().States.Pillar) {
			t.Errorf("%s: %+v, %v", text, got.States, err)
		}
	}
	file := filepath.Join(t.TempDir(), "master.yml")
	if err := os.WriteFile(file, []byte("states:\n  root: [{ref: main}]\n  pillar_merging: deep\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.LoadMaster(file, nil)
	if err == nil || !strings.Contains(err.Error(), "master.yml:2:10: a root is") || !strings.Contains(err.Error(), "master.yml:3:19") {
		t.Errorf("%v", err)
	}
}
