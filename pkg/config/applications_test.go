package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/config"
)

var checks = config.AppChecks{
	Target: func(expr string) error {
		if strings.Contains(expr, "(") {
			return errors.New("column 1: not closed")
		}
		return nil
	},
	Balancers: []string{"edge"},
	Sources:   []string{"git"},
}

func appsDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const good = `
source: {url: "https://example.com/shop.git"}
build:
  steps:
    - run: make
      timeout: 90s
groups:
  production:
    target: web*
    root: /srv/{id}/shop
    shared: [log/, config/local.yml]
    strategy: {batch: 2, min_healthy: 50%}
    balancer: {use: edge, pool: shop, address: "{grains.ipv4}:80"}
`

func TestApplicationsAreReadFromTheirDirectory(t *testing.T) {
	dir := appsDir(t, map[string]string{
		"shop.yml": good, "api.yaml": "name: backend\n" + good, "notes.txt": "!", ".hidden.yml": "!", "shop.yml~": "!",
	})
	apps, err := config.LoadApplications(dir, checks)
	if err != nil {
		t.Fatal(err)
	}
	if len(apps) != 2 || apps[0].Name != "backend" || apps[1].Name != "shop" {
		t.Fatalf("got %+v", apps)
	}
	g := apps[1].Groups["production"]
	if g.Strategy.Batch.String() != "2" || g.Balancer.Pool != "shop" || apps[1].Build.Steps[0].Timeout == 0 {
		t.Errorf("group %+v", g)
	}
}

func TestAllMistakesOfAllApplicationsAreTold(t *testing.T) {
	dir := appsDir(t, map[string]string{
		"a.yml": "name: shop\n" + good,
		"b.yml": "name: shop\n" + good,
		"c.yml": `name: c/d
source: {type: gti}
build:
  steps:
    - timeout: 1m
    - run: make
      argv: [make]
groups:
  production:
    target: ( web
    root: srv
    layout: release
    shared: [/etc]
    hooks: ../x
    keep: -1
    strategy: {max_failures: -1}
    balancer: {use: edgy}
  staging:
  empty: {root: /}
`,
		"d.yml": "groups:\n  web:\n    traget: web*\n    root: ../x\n",
		"e.yml": "name: e\nsource: {url: x}\n",
		"f.yml": "a: [\n",
		"h.yml": `name: h
source: {url: x}
groups:
  a: {target: "*", root: /a, layout: copy, shared: [log/], secrets: [TOKEN], copy: {exclude: [ok, "[a"]}}
  b: {target: "*", root: /b, copy: {delete: true}}
  c: {target: "*", root: /c, file_exists_behavior: RETAIN}
  d: {target: "*", root: /d, layout: appspec, shared: [log/], file_exists_behavior: retain}
`,
		"g.yml": "",
	})
	_, err := config.LoadApplications(dir, checks)
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	for _, want := range []string{
		`b.yml:1:7: a second application "shop"; the first is in a.yml`,
		`c.yml:1:7: name: "c/d" is not a name`,
		`c.yml:2:9: source.url is missing`,
		`c.yml:2:16: source.type: "gti" is unknown; did you mean "git"?`,
		`c.yml:5:7: the build step needs run (a shell command) or argv (a list)`,
		`c.yml:7:13: the build step has run and argv; keep one`,
		`c.yml:10:13: target: column 1: not closed`,
		`c.yml:11:11: root must be an absolute path below / and without ..`,
		`c.yml:12:13: layout: "release" is unknown; did you mean "releases"?`,
		`c.yml:13:14: shared: a path inside the release is wanted`,
		`c.yml:14:12: hooks: a directory inside the archive is wanted`,
		`c.yml:15:11: keep must not be negative`,
		`c.yml:16:30: max_failures must not be negative`,
		`c.yml:17:15: balancer.pool is missing`,
		`c.yml:17:21: balancer.use: "edgy" is unknown; did you mean "edge"?`,
		`c.yml:18:3: the group is empty`,
		`c.yml:19:3: the group has no target`,
		`c.yml:19:17: root must be an absolute path`,
		`d.yml:3:5: unknown key "traget"; did you mean "target"?`,
		`d.yml:4:11: root must be an absolute path`,
		`e.yml:1:1: no groups`,
		`f.yml:2:1: `,
		`g.yml:1:1: source.url is missing`,
		`h.yml:4:52: shared has no meaning with layout copy: name the paths in copy.exclude`,
		`h.yml:4:70: secrets: the name of a variable in env is wanted`,
		`h.yml:4:99: copy.exclude: [ has no ]`,
		`h.yml:5:36: copy has a meaning with layout copy only`,
		`h.yml:6:52: file_exists_behavior has a meaning with layout appspec only`,
		`h.yml:7:55: shared has no meaning with layout appspec`,
		`h.yml:7:85: file_exists_behavior: "retain" is unknown`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(got, "d.yml:1") || strings.Contains(got, "d.yml:2") {
		t.Error("what is missing is told although it is only mistyped")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestAMissingDirectoryOfApplicationsIsAnError(t *testing.T) {
	if _, err := config.LoadApplications("/no/such/apps.d", checks); err == nil {
		t.Error("no error")
	}
}

func FuzzLoadApplication(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("groups: {a: , b: {balancer: {}}}\nbuild: {steps: [~, {}]}\n"))
	file := filepath.Join(f.TempDir(), "fuzz.yml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		app, err := config.LoadApplication(file, checks)
		if err == nil && (len(app.Groups) == 0 || app.Source.URL == "") {
			t.Errorf("accepted %+v", app)
		}
	})
}
