package compile_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
	"github.com/brine-deploy/brine/states/compile"
)

// files are SLS files by path, without templates; those of other environments begin with "ENV:".
type files map[string]string

func (f files) Load(_ context.Context, env, sls string) (*compile.Document, error) {
	base := strings.ReplaceAll(sls, ".", "/")
	if env != "base" {
		base = env + ":" + base
	}
	for _, path := range []string{base + ".sls", base + "/init.sls"} {
		text, ok := f[path]
		if !ok {
			continue
		}
		root, err := yaml.Salt(path, []byte(text))
		if bad, ok := errors.AsType[yaml.Errors](err); ok {
			return nil, compile.Errors{{Class: "yaml error", File: sls, Path: path, Line: bad[0].Line, Column: bad[0].Column, Message: bad[0].Message}}
		}
		return &compile.Document{SLS: sls, Env: env, Path: path, Root: root}, nil
	}
	return nil, fs.ErrNotExist
}

func (f files) Names(_ context.Context, env string) ([]string, error) {
	var names []string
	for _, path := range slices.Sorted(maps.Keys(f)) {
		in, name, other := strings.Cut(path, ":")
		if !other {
			in, name = "base", path
		}
		if in == env {
			name = strings.TrimSuffix(strings.TrimSuffix(name, ".sls"), "/init")
			names = append(names, strings.ReplaceAll(name, "/", "."))
		}
	}
	if names == nil {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

// chunks compiles SLS files and gives "ID state.fun name" of each chunk.
func chunks(t *testing.T, f files, mods string) []string {
	t.Helper()
	high, err := compiled(t, f, mods)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range high.Low() {
		all = append(all, fmt.Sprintf("%s %s.%s %s", c.ID, c.State, c.Fun, c.Name))
	}
	return all
}

func compiled(t *testing.T, f files, mods string) (*compile.High, error) {
	t.Helper()
	high, err := compile.Tree(t.Context(), f, compile.ParseMods("base", mods))
	if err == nil {
		err = high.Finish()
	}
	return high, err
}

// ids are n test.nop with a line of arguments each.
func ids(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s:\n  test.nop:\n    - %s\n", pairs[i], pairs[i+1])
	}
	return b.String()
}

func TestStatesComeInSaltsOrder(t *testing.T) {
	for name, c := range map[string]struct {
		files files
		mods  string
		want  string
	}{
		"as declared":        {files{"m.sls": "b: test.nop\na:\n  test.nop\nc:\n  test.nop: []\n"}, "m", "b a c"},
		"by order":           {files{"m.sls": ids("last", "order: last", "neg", "order: -1", "neg2", "order: -2", "decl", "a: 1", "two", "order: 2", "one", "order: 1", "first", "order: first", "large", "order: 20000")}, "m", "first one two decl large neg2 neg last"},
		"includes first":     {files{"m.sls": "m: test.nop\ninclude: [b, c]\n", "b.sls": "include: [c]\nb: test.nop\n", "c.sls": "c: test.nop"}, "m", "c b m"},
		"relative includes":  {files{"a/init.sls": "include: [.b, ..d.x]\na: test.nop\n", "a/b.sls": "b: test.nop", "d/x.sls": "include: [.y]\nx: test.nop\n", "d/y.sls": "y: test.nop"}, "a", "b y x a"},
		"globs":              {files{"m.sls": "include: ['a.*']\nm: test.nop\n", "a/x.sls": "x: test.nop", "a/y/init.sls": "y: test.nop"}, "m", "x y m"},
		"another saltenv":    {files{"m.sls": "include: [{dev: d}]\nm: test.nop\n", "dev:d.sls": "d: test.nop"}, "m", "d m"},
		"names":              {files{"m.sls": "a:\n  test.nop:\n    - names: [z, y, {x: [order: 1]}]\nb: test.nop\n"}, "m", "a/x a/z a/y b"},
		"exclude":            {files{"m.sls": "include: [a, b]\nexclude: [a, {id: b2}]\n", "a.sls": "a: test.nop", "b.sls": "b1: test.nop\nb2: test.nop\n"}, "m", "b1"},
		"same order by name": {files{"m.sls": ids("b", "order: 1", "a", "order: 1")}, "m", "a b"},
		"two states of one":  {files{"m.sls": "a:\n  test.nop: [name: dotted]\n  cmd.run: [name: too]\n  pkg:\n    - installed\n    - name: plain\n"}, "m", "a/plain a/dotted a/too"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, line := range chunks(t, c.files, c.mods) {
				words := strings.Fields(line)
				if words[2] != words[0] {
					words[0] += "/" + words[2]
				}
				got = append(got, words[0])
			}
			if all := strings.Join(got, " "); all != c.want {
				t.Errorf("got %s, want %s", all, c.want)
			}
		})
	}
}

func TestWhatIsWrongIsToldWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		files files
		mods  string
		class compile.Class
		want  string
	}{
		"ID is text":           {files{"m.sls": "a: text\n"}, "m", compile.BadData, "m.sls:1:1: ID a in SLS m is not a dictionary"},
		"number as ID":         {files{"m.sls": "12:\n  test.nop: []\n"}, "m", compile.BadData, "m.sls:1:1: ID '12' in SLS 'm' is not formed as a string"},
		"SLS is a list":        {files{"m.sls": "- a\n"}, "m", compile.BadData, "m.sls:1:1: SLS m is a list"},
		"no list":              {files{"m.sls": "a:\n  test.nop: {x: 1}\n"}, "m", compile.BadData, "m.sls:2:3: State 'a' in SLS 'm' is not formed as a list"},
		"colon without":        {files{"m.sls": "a:\n  test.nop:\n"}, "m", compile.BadData, "m.sls:2:3: ID 'a' in SLS 'm' contains a short declaration"},
		"no function":          {files{"m.sls": "a:\n  test: [x: 1]\n"}, "m", compile.BadData, "m.sls:2:3: No function declared in state 'a'"},
		"two functions":        {files{"m.sls": "a:\n  test.nop: [x]\n"}, "m", compile.BadData, "choose one of the following: x, nop"},
		"two of one state":     {files{"m.sls": "a:\n  test.nop: []\n  test.x: []\n"}, "m", compile.BadData, "m.sls:3:3: ID 'a' in SLS 'm' contains multiple"},
		"missing colon":        {files{"m.sls": "a:\n  test.nop:\n    - name x\n"}, "m", compile.BadData, "m.sls:3:7: The function \"name x\""},
		"names no list":        {files{"m.sls": ids("a", "names: x")}, "m", compile.BadData, "The 'names' argument"},
		"require no list":      {files{"m.sls": ids("a", "require: b", "b", "x: 1")}, "m", compile.BadData, "m.sls:3:7: The require statement in state 'a'"},
		"dot in a requisite":   {files{"m.sls": ids("a", "require: [test.nop: b]", "b", "x: 1")}, "m", compile.BadData, "did you mean 'test'?"},
		"odd requisite":        {files{"m.sls": ids("a", "require: [[b]]")}, "m", compile.BadData, "not formed as a single key dictionary"},
		"each requires other":  {files{"m.sls": ids("a", "require: [test: b]", "b", "watch: [test: a]")}, "m", compile.Recursive, "m.sls:6:15: A recursive requisite was found, SLS \"m\" ID \"b\" ID \"a\""},
		"requires itself":      {files{"m.sls": ids("a", "require: [test: a]")}, "m", compile.Recursive, "ID \"a\" ID \"a\""},
		"missing SLS":          {files{}, "gone", compile.MissingSLS, "no matching sls found for 'gone' in env 'base'"},
		"missing include":      {files{"m.sls": "include:\n  - gone\n"}, "m", compile.MissingSLS, "Specified SLS gone in saltenv base is not available; it is included at m.sls:2:5"},
		"include is text":      {files{"m.sls": "include: a\n"}, "m", compile.BadData, "m.sls:1:10: the include of SLS m"},
		"include above top":    {files{"m.sls": "include: [...x]\n"}, "m", compile.BadData, "beyond the top level"},
		"include of no env":    {files{"m.sls": "include: [{dev: x}]\n"}, "m", compile.MissingSLS, "there is no saltenv 'dev'"},
		"one ID in two files":  {files{"m.sls": "include: [b]\na: test.nop\n", "b.sls": "a: test.nop\n"}, "m", compile.DuplicateID, "m.sls:2:1: the ID \"a\" is declared twice"},
		"extend of nothing":    {files{"m.sls": "extend:\n  nginx:\n    test.nop: []\nngin: test.nop\n"}, "m", compile.Extend, "m.sls:2:3: Cannot extend ID 'nginx' in 'base:m'. It is not part of the high state; is the SLS that declares it included? Did you mean 'ngin'?"},
		"require_in nothing":   {files{"m.sls": ids("a", "require_in: [cmd: nowhere]")}, "m", compile.Extend, "m.sls:3:20: Cannot extend ID 'nowhere'"},
		"require_in other":     {files{"m.sls": ids("a", "require_in: [cmd: b]", "b", "x: 1")}, "m", compile.Extend, "Cannot extend ID 'b'"},
		"exclude is text":      {files{"m.sls": "exclude: a\n"}, "m", compile.BadData, "m.sls:1:10: the exclude"},
		"extend is a list":     {files{"m.sls": "extend: [a]\n"}, "m", compile.BadData, "m.sls:1:9: the extend"},
		"broken YAML, another": {files{"m.sls": "a: [\n", "n.sls": "a: text\n"}, "m,n", compile.BadData, "n.sls:1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compiled(t, c.files, c.mods)
			var all compile.Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %v", err)
			}
			if !slices.ContainsFunc(all, func(e *compile.Error) bool { return e.Class == c.class && strings.Contains(e.Error(), c.want) }) {
				t.Errorf("got %+v: %v; want %s: %s", *all[0], all, c.class, c.want)
			}
		})
	}
}

func TestAllErrorsAreToldAtOnce(t *testing.T) {
	_, err := compiled(t, files{"m.sls": "include: [gone]\na: text\nb:\n  test.nop: {x: 1}\nc:\n  test:\n    - x: 1\n"}, "m,away")
	var all compile.Errors
	if !errors.As(err, &all) || len(all) != 5 {
		t.Errorf("got %v", err)
	}
}

// args gives the arguments of an ID's chunk as JSON.
func args(t *testing.T, f files, mods, id string) string {
	t.Helper()
	high, err := compiled(t, f, mods)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range high.Low() {
		if c.ID == id {
			text, _ := c.Args.MarshalJSON()
			return string(text)
		}
	}
	t.Fatalf("no %s", id)
	return ""
}

func TestExtendAndInverseRequisitesReachTheirTargets(t *testing.T) {
	const base = "conf:\n  test.nop:\n    - a: 1\n    - require: [test: x]\nx:\n  test.nop: [name: named]\n"
	for name, c := range map[string]struct{ more, id, want string }{
		"extend replaces and adds": {"extend:\n  conf:\n    test.nop:\n      - a: 2\n      - b: 3\n      - require: [test: y]\n", "conf", `{"a":2,"require":[{"test":"x"},{"test":"y"}],"b":3}`},
		"require_in":               {ids("y", "require_in: [test: conf]"), "conf", `{"a":1,"require":[{"test":"x"},{"test":"y"}]}`},
		"require_in by name":       {ids("y", "require_in: [test: named]"), "x", `{"require":[{"test":"y"}]}`},
		"require_in by bare ID":    {ids("y", "require_in: [x]"), "x", `{"require":[{"test":"y"}]}`},
		"watch_in":                 {ids("y", "watch_in: [test: x]"), "x", `{"watch":[{"test":"y"}]}`},
		"prereq":                   {ids("y", "prereq: [test: x]"), "x", `{"prerequired":[{"test":"y"}]}`},
		"prereq_in":                {ids("y", "prereq_in: [test: x]"), "x", `{"prereq":[{"test":"y"}]}`},
		"prereq_in, its own side":  {ids("y", "prereq_in: [test: x]"), "y", `{"prereq_in":[{"test":"x"}],"prerequired":[{"test":"x"}]}`},
		"use":                      {ids("y", "use: [test: conf]"), "y", `{"use":[{"test":"conf"}],"a":1}`},
		"use_in":                   {"y:\n  test.nop:\n    - a: 5\n    - c: 6\n    - use_in: [test: conf]\n", "conf", `{"a":1,"require":[{"test":"x"}],"c":6}`},
		"an SLS as target":         {ids("y", "require_in: [sls: m]"), "x", `{"require":[{"test":"y"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := args(t, files{"m.sls": base, "n.sls": "include: [m]\n" + c.more}, "n", c.id)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTopFilesChooseByAnyMatch(t *testing.T) {
	top := files{
		"top.sls": `
base:
  '*': [all]
  'web*': [glob]
  'db*': [not]
  'G@role:web and not E@x.*': [compound]
  'role:w*':
    - match: grain
    - grain
  'role:^w.b$':
    - match: grain_pcre
    - grain_pcre
  'tier:front':
    - match: pillar
    - pillar
  'web1, web2':
    - match: list
    - list
  'group':
    - match: nodegroup
    - nodegroup
  'web[0-9]$':
    - match: pcre
    - pcre
    - dev: other
dev:
  'web1': [d]
`,
		"dev:top.sls": "dev:\n  '*': [ignored]\nbase:\n  '*': [ignored]\n",
		"qa:top.sls":  "qa:\n  '*': [q]\n",
	}
	mods, err := compile.Top(t.Context(), top, compile.TopOptions{
		Envs:       []string{"base", "dev", "qa"},
		Subject:    target.Subject{ID: "web1", Grains: fleet.Grains{"role": "web"}, Pillar: map[string]any{"tier": "front"}},
		Nodegroups: target.Nodegroups{"group": "L@web1"},
	})
	got, _ := mods.Data().MarshalJSON()
	want := `{"base":["all","glob","compound","grain","grain_pcre","pillar","list","nodegroup","pcre"],"dev":["other","d"],"qa":["q"]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestABadTargetInATopFileIsToldWithItsPlace(t *testing.T) {
	_, err := compile.Top(t.Context(), files{"top.sls": "base:\n  'web1 and': [a]\n"}, compile.TopOptions{Envs: []string{"base"}})
	if err == nil || !strings.Contains(err.Error(), "top.sls:2:3: the target \"web1 and\"") {
		t.Errorf("got %v", err)
	}
}

func FuzzTree(f *testing.F) {
	f.Add(ids("a", "require: [test: b]", "b", "order: first") + "extend:\n  a:\n    test: [names: [x, {y: [z: 1]}]]\n")
	f.Add("include: [a, .b, {c: d}]\nexclude: [{id: a}]\nx:\n  cmd:\n    - run\n    - use: [cmd: y]\n    - prereq_in: [z]\n")
	f.Fuzz(func(t *testing.T, text string) {
		high, err := compile.Tree(t.Context(), files{"m.sls": text}, compile.ParseMods("base", "m"))
		if err != nil {
			return
		}
		high.Data()
		if high.Finish() == nil {
			for _, c := range high.Low() {
				c.Data()
			}
		}
	})
}
