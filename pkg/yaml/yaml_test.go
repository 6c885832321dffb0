package yaml_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/pkg/yaml"
)

var _ registry.Section = (*yaml.Node)(nil)

type strategy struct {
	Batch      fleet.Amount   `yaml:"batch"`
	MinHealthy fleet.Amount   `yaml:"min_healthy"`
	LostAfter  fleet.Duration `yaml:"lost_after"`
}

type file struct {
	Name     string                         `yaml:"name"`
	Token    fleet.Secret                   `yaml:"token"`
	Count    int                            `yaml:"count"`
	Port     uint16                         `yaml:"port"`
	On       bool                           `yaml:"on"`
	Wait     time.Duration                  `yaml:"wait"`
	Strategy *strategy                      `yaml:"strategy"`
	Groups   map[fleet.GroupName]*strategy  `yaml:"groups"`
	Env      map[string]string              `yaml:"env"`
	Argv     []string                       `yaml:"argv"`
	Keys     map[fleet.GroupName]fleet.Tags `yaml:"keys"`
	Any      any                            `yaml:"any"`
	Section  *yaml.Node                     `yaml:"section"`
}

func TestDecodeFillsPlainStructs(t *testing.T) {
	const text = `
name: 1.10
token: s3cr3t
count: 0o17
port: 8080
on: yes
wait: 1m
strategy: {batch: 2, min_healthy: 25%, lost_after: 90s}
groups:
  production: &base
    batch: all
    lost_after: 2m
  staging:
    <<: *base
    batch: 1
env: {ON: on, NUMBER: 0123, NOTHING: }
argv: [make, -j, 2]
any: {list: [1, 2.5, true, ~, 2024-01-02, "7"], 80: http}
section: {path: /srv}
`
	got := file{Name: "default", Argv: []string{"replaced"}, Env: map[string]string{"KEPT": "1"}}
	if err := yaml.Decode("x.yml", []byte(text), &got); err != nil {
		t.Fatal(err)
	}
	var section struct{ Path string }
	if err := got.Section.Decode(&section); err != nil || section.Path != "/srv" {
		t.Errorf("section: %+v, %v", section, err)
	}
	got.Section = nil
	base := strategy{Batch: fleet.Amount{Value: 100, Percent: true}, LostAfter: fleet.Duration(2 * time.Minute)}
	staging := strategy{Batch: fleet.Amount{Value: 1}, LostAfter: base.LostAfter}
	want := file{
		Name: "1.10", Token: "s3cr3t", Count: 15, Port: 8080, On: true, Wait: time.Minute,
		Strategy: &strategy{fleet.Amount{Value: 2}, fleet.Amount{Value: 25, Percent: true}, fleet.Duration(90 * time.Second)},
		Groups:   map[fleet.GroupName]*strategy{"production": &base, "staging": &staging},
		Env:      map[string]string{"KEPT": "1", "ON": "on", "NUMBER": "0123", "NOTHING": ""},
		Argv:     []string{"make", "-j", "2"},
		Any:      map[string]any{"list": []any{1, 2.5, true, nil, "2024-01-02", "7"}, "80": "http"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAllMistakesAreToldWithFileLineAndColumn(t *testing.T) {
	const text = `name: [a]
count: many
strategy:
  batchs: 2
  lost_after: 10 minutes
groups:
  production: nope
  staging:
    batch: 101%
port: 70000
on: "true"
zzzzz: 1
`
	err := yaml.Decode("etc/x.yml", []byte(text), new(file))
	want := strings.TrimSpace(`
etc/x.yml:1:7: expected a scalar, found a list
    name: [a]
etc/x.yml:2:8: expected a whole number, found "many"
    count: many
etc/x.yml:4:3: unknown key "batchs"; did you mean "batch"?
    batchs: 2
etc/x.yml:5:15: "10 minutes" is not a duration such as 90s, 10m or 1h30m
    lost_after: 10 minutes
etc/x.yml:7:15: expected a mapping, found a scalar
    production: nope
etc/x.yml:9:12: "101%" is not a count, a percentage from 0% to 100%, half or all
    batch: 101%
etc/x.yml:10:7: expected a whole number from 0 on, found "70000"
    port: 70000
etc/x.yml:11:5: expected true or false, found "true"
    on: "true"
etc/x.yml:12:1: unknown key "zzzzz"; known: any, argv, count, env, groups, keys, name, on, port, section, strategy, token, wait
    zzzzz: 1`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var all yaml.Errors
	if !errors.As(err, &all) || len(all) != 9 {
		t.Errorf("the error is %T", err)
	}
}

func TestWhatIsNoPlainDocumentIsRefused(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"syntax":               {"a: b\n c: d\n", "x.yml:2:"},
		"tab":                  {"a:\n\tb: 1\n", "x.yml:2:"},
		"unclosed":             {"a: [1, 2\n", "x.yml:2:1:"},
		"duplicate key":        {"a: 1\nb: 2\na: 3\n", `x.yml:3:1: duplicate key "a"; it is there already in line 1`},
		"nested duplicate key": {`{"a": {"b": 1, "b": 2}}`, `x.yml:1:16: duplicate key "b"`},
		"second document":      {"a: 1\n---\na: 2\n", "x.yml:2:1: a second document begins here"},
		"tag":                  {"a: !!python/object:os.system x\n", "the tag !!python/object:os.system is not supported here"},
		"local tag":            {"a: !env HOME\n", "x.yml:1:4: the tag !env is not supported here"},
		"key that is a list":   {"? [a, b]\n: 1\n", "a list cannot be a key"},
		"unknown anchor":       {"a: *b\n", "x.yml:1:"},
		"anchor in itself":     {"a: &x [*x]\n", `the anchor "x" contains itself`},
		"merge of a scalar":    {"<<: 3\n", "<< merges a mapping"},
		"no mapping at all":    {"- a\n", "x.yml:1:1: expected a mapping, found a list"},
		"deep flow":            {strings.Repeat("[", 10_000), "x.yml:1:"},
		"deep block":           {strings.Repeat("- ", 10_000), "x.yml:1:"},
		"too large":            {strings.Repeat("#", yaml.MaxBytes+1), "x.yml: the file has 1048577 bytes"},
		"billion laughs":       {laughs(), "the file has more than 100000 values, its aliases expanded"},
		"billion merges":       {merges(), "the file has more than 100000 values, its aliases expanded"},
		"not UTF-8":            {"a: \xff\xfe\n", "x.yml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := yaml.Decode("x.yml", []byte(tt.text), new(struct{ A any }))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func laughs() string {
	var b strings.Builder
	b.WriteString("l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func merges() string {
	var b strings.Builder
	b.WriteString("m0: &m0 {a: 1}\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "m%d: &m%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func TestAnEmptyFileLeavesTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "---\n", "~\n"} {
		got := file{Name: "default"}
		if err := yaml.Decode("x.yml", []byte(text), &got); err != nil || got.Name != "default" {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestNodesKeepTextOrderAndPlace(t *testing.T) {
	n, err := yaml.Parse("appspec.yml", []byte("version: 0.0\nhooks:\n  Start:\n    - location: a.sh\n  Stop: null\nmode: \"0644\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Get("version"); got.Text() != "0.0" || got.Pos().String() != "appspec.yml:1:10" || got.Quoted() {
		t.Errorf("version is %q at %s", got.Text(), got.Pos())
	}
	if mode := n.Get("mode"); mode.Text() != "0644" || !mode.Quoted() {
		t.Errorf("mode is %q", mode.Text())
	}
	var order []string
	for _, p := range n.Get("hooks").Pairs() {
		order = append(order, p.Key.Text())
	}
	if !reflect.DeepEqual(order, []string{"Start", "Stop"}) {
		t.Errorf("order %v", order)
	}
	if k := n.Get("hooks", "Stop").Kind(); k != yaml.Null {
		t.Errorf("Stop is %s", k)
	}
	if got := n.Get("hooks", "Start").Items()[0].Get("location").Errorf("no such script").Error(); got !=
		"appspec.yml:4:17: no such script\n    - location: a.sh" {
		t.Error(got)
	}
	if got := n.Get("no", "such", "key"); got != nil || got.Kind() != yaml.Null || got.Text() != "" || got.Pairs() != nil {
		t.Errorf("absent key: %v", got)
	}
	var rest struct{ Mode string }
	if err := n.Without("version", "hooks").Decode(&rest); err != nil || rest.Mode != "0644" {
		t.Errorf("rest %+v, %v", rest, err)
	}
}

func TestNearestFindsWhatWasMeant(t *testing.T) {
	known := []string{"batch", "min_healthy", "max_failures", "no_revert"}
	for name, want := range map[string]string{
		"batchs": "batch", "bacth": "batch", "Batch": "batch", "min-healthy": "min_healthy",
		"maxfailures": "max_failures", "norevert": "no_revert", "target": "", "": "",
	} {
		if got := yaml.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("name: a\nstrategy: {batch: 2}\n"))
	f.Add([]byte("a: &a {b: 1}\nc: {<<: *a}\n"))
	f.Add([]byte("{\"any\": [1, \"x\", null]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		started := time.Now()
		err := yaml.Decode("fuzz.yml", data, new(file))
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		var all yaml.Errors
		if err != nil && !errors.As(err, &all) {
			t.Errorf("the error is a %T: %v", err, err)
		}
		for _, e := range all {
			if e.File != "fuzz.yml" || e.Message == "" {
				t.Errorf("no complaint: %#v", e)
			}
		}
	})
}

func TestTheLastOfTwoKeysWinsWhereThatIsWanted(t *testing.T) {
	n, twice, err := yaml.LastWins("f.yml", []byte("a: 1\nb: 2\na: 3\n"))
	if err != nil || n.Get("a").Text() != "3" || len(n.Pairs()) != 2 || len(twice) != 1 || twice[0].Line != 3 {
		t.Errorf("got %v, %v, %v; want a: 3 and one note about line 3", n.Get("a").Text(), twice, err)
	}
}
