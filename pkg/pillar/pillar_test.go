package pillar

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// plainYAML renders what has no templates in it.
func plainYAML(_ context.Context, _ *modules.Env, src render.Source, _ *data.Map) (*yaml.Node, error) {
	return yaml.Salt(src.File, []byte(src.Text))
}

func tree(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return &Tree{Files: fileroot.New(dir), render: plainYAML}
}

func minion() *modules.Env {
	return &modules.Env{ID: "casemin", Grains: data.NewMap("os", "Debian", "id", "casemin"), Saltenv: "base", Functions: modules.All()}
}

func text(v any) string {
	b, err := json.Marshal(data.Plain(v))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestIncludesAreMergedBelowTheirIncluder(t *testing.T) {
	files := map[string]string{
		"top.sls":        "base:\n  '*': [web]\n",
		"web/init.sls":   "include: [.sub.*, web.nested: {key: 'a:b'}, common]\nscalar: web\nlist: [1]\n",
		"web/sub/x.sls":  "x: 1\nscalar: x\n",
		"web/sub/y.sls":  "y: 1\ninclude: [web]\n",
		"common.sls":     "list: [2]\nscalar: common\n",
		"web/nested.sls": "n: 1\n",
	}
	got, err := tree(t, files).Compile(t.Context(), minion(), nil)
	if want := `{"a":{"b":{"n":1}},"list":[1],"scalar":"web","x":1,"y":1}`; err != nil || text(got) != want {
		t.Errorf("%s, %v", text(got), err)
	}
	over := tree(t, files)
	over.IncludesOverride, over.Lists = true, true
	got, err = over.Compile(t.Context(), minion(), data.NewMap("scalar", "told"))
	if want := `{"a":{"b":{"n":1}},"list":[1,2],"scalar":"told","x":1,"y":1}`; err != nil || text(got) != want {
		t.Errorf("%s, %v", text(got), err)
	}
}

func TestTheTopFileChoosesByAnyKindInItsOrder(t *testing.T) {
	got, err := tree(t, map[string]string{
		"top.sls": `
base:
  'os:Debian': [{match: grain}, {order: 2}, late]
  'cas[ef].*': [{match: pcre}, early]
  'N@deb and not G@os:Red*': [by_group]
  'told:yes': [{match: pillar}, by_pillar]
  'other*': [never]
dev:
  '*': [nothing]
`,
		"late.sls": "who: late\n", "early.sls": "who: early\nearly: true\n", "by_group.sls": "group: true\n", "by_pillar.sls": "pillar: true\n",
	}).with(func(t *Tree) { t.Nodegroups = map[string]any{"deb": "G@os:Debian"} }).Compile(t.Context(), minion(), data.NewMap("told", "yes"))
	if want := `{"early":true,"group":true,"pillar":true,"told":"yes","who":"late"}`; err != nil || text(got) != want {
		t.Errorf("%s, %v", text(got), err)
	}
}

func (t *Tree) with(set func(*Tree)) *Tree {
	set(t)
	return t
}

func TestErrorsNameTheFileAndThePlace(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"missing":           {map[string]string{"top.sls": "base:\n  '*': [gone]\n"}, "pillar:gone: SLS gone is not in the environment base"},
		"included, missing": {map[string]string{"top.sls": "base:\n  '*': [a]\n", "a.sls": "include: [gone]\n"}, "pillar:gone: "},
		"YAML":              {map[string]string{"top.sls": "base:\n  '*': [a.b]\n", "a/b.sls": "x: 1\nx: 2\n"}, "pillar:a.b (a/b.sls:2:1): "},
		"no mapping":        {map[string]string{"top.sls": "base:\n  '*': [a]\n", "a/init.sls": "- 1\n"}, "pillar:a (a/init.sls:1:1): a pillar SLS must be a mapping"},
		"no list":           {map[string]string{"top.sls": "base:\n  '*': a\n"}, "pillar:top (top.sls:2:8): "},
		"include":           {map[string]string{"top.sls": "base:\n  '*': [a]\n", "a.sls": "x: 1\ninclude: b\n"}, "pillar:a (a.sls:2:10): include must be a list"},
		"target":            {map[string]string{"top.sls": "base:\n  'web1 or': [a]\n"}, "column 8"},
		"kind":              {map[string]string{"top.sls": "base:\n  'web1': [match: grian, a]\n"}, `unknown kind of target "grian"`},
		"encrypted":         {map[string]string{"top.sls": "base:\n  '*': [a]\n", "a.sls": "k: {p: '-----BEGIN AGE ENCRYPTED FILE-----'}\n"}, "k:p is encrypted"},
	} {
		_, err := tree(t, c.files).Compile(t.Context(), minion(), nil)
		var errs Errors
		if !errors.As(err, &errs) || len(errs) != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
}

func TestEncryptedValuesAreOpened(t *testing.T) {
	identity, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := archive.Encrypt("hunter2", identity)
	if err != nil {
		t.Fatal(err)
	}
	block := strings.ReplaceAll(strings.TrimSpace(sealed), "\n", "\n    ")
	got, err := tree(t, map[string]string{
		"top.sls": "base:\n  '*': [a]\n",
		"a.sls":   "db:\n  password: |\n    " + block + "\n  all: [plain]\n",
	}).with(func(t *Tree) {
		t.Decrypt = func(armoured string) (string, error) { return archive.Decrypt(armoured, identity) }
	}).Compile(t.Context(), minion(), nil)
	if want := `{"db":{"all":["plain"],"password":"hunter2"}}`; err != nil || text(got) != want {
		t.Errorf("%s, %v", text(got), err)
	}
}

func TestPillarIsSalts(t *testing.T) {
	cases, err := filepath.Glob("testdata/salt/*")
	if err != nil || len(cases) < 6 {
		t.Fatalf("%v, %v", cases, err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) { saltCase(t, dir) })
	}
}

func saltCase(t *testing.T, dir string) {
	t.Helper()
	var c struct {
		Config *data.Map
		Runs   []struct{ Kwargs struct{ Pillar *data.Map } }
	}
	var want struct {
		Runs []struct {
			File string
			FS   []struct{ Text string }
		}
	}
	grains := &data.Map{}
	for name, into := range map[string]any{"case.json": &c, "expected.json": &want, "grains.json": grains} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	grains.Set("id", "casemin")
	tree := &Tree{Files: fileroot.New(filepath.Join(dir, "pillar"))}
	if err := tree.Strategies(c.Config); err != nil {
		t.Fatal(err)
	}
	env := minion()
	env.Grains = grains
	for i, run := range c.Runs {
		got, err := tree.Compile(t.Context(), env, run.Kwargs.Pillar)
		if file := want.Runs[i].File; file != "" {
			var one *Error
			if !errors.As(err, &one) || one.File != file {
				t.Errorf("run %d: %v; want %s", i, err, file)
			}
			continue
		}
		wanted, bad := data.FromJSON([]byte(want.Runs[i].FS[0].Text))
		if bad != nil {
			t.Fatal(bad)
		}
		if err != nil || !data.Equal(got, wanted) {
			t.Errorf("run %d: %s, %v; want %s", i, text(got), err, text(wanted))
		}
	}
}
