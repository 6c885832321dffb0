package appspec_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/appspec"
)

// disk is a real directory as the host.
type disk struct{}

func (disk) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }
func (disk) Stat(name string) (fs.FileInfo, error)  { return os.Stat(name) }

func (disk) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

func (disk) Real(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return name
}

// lay makes files: name -> content; a name that ends in a slash is a directory, content that begins with > a link.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(file, 0o755)
		case strings.HasPrefix(content, ">"):
			err = os.Symlink(content[1:], file)
		default:
			err = os.WriteFile(file, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// plan makes a plan for the revision in /rev of a directory; $ is that directory.
func plan(t *testing.T, dir, spec string, exists appspec.Exists, owned ...appspec.Owned) (*appspec.Plan, error) {
	t.Helper()
	s, err := appspec.Parse("appspec.yml", []byte(head+strings.ReplaceAll(spec, "$", dir)))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "rev"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for i := range owned {
		owned[i].Path = filepath.Join(dir, owned[i].Path)
	}
	return appspec.NewPlan(s, root.FS(), disk{}, owned, exists)
}

func told(dir string, p *appspec.Plan) string {
	var out []string
	for _, o := range p.Remove {
		out = append(out, "remove "+o.Path)
	}
	for _, s := range p.Steps {
		out = append(out, strings.TrimSpace(fmt.Sprint(s.Do, " ", s.Path, " ", s.Source)))
	}
	for _, s := range p.Settings {
		out = append(out, "set "+s.Path)
	}
	return strings.ReplaceAll(strings.Join(out, "\n"), dir, "")
}

const wholeApp = "files: [{source: app, destination: $/h}]\n"

func TestAPlanSaysWhatIsDone(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		spec  string
		owned []appspec.Owned
		want  string
	}{
		"all of it": {
			map[string]string{"rev/a": "", "rev/d/e/": "", "rev/d/l": ">/etc/passwd"},
			"files: [{source: /, destination: $/x/y}]", nil,
			"mkdir /x\nmkdir /x/y\ncopy /x/y/a a\nmkdir /x/y/d\nmkdir /x/y/d/e\nlink /x/y/d/l d/l",
		},
		"a link to a directory is copied as a link and followed as a source": {
			map[string]string{"rev/app/real/f": "", "rev/app/to": ">real", "rev/src": ">app"},
			"files: [{source: src, destination: $/h}]", nil,
			"mkdir /h\nmkdir /h/real\ncopy /h/real/f src/real/f\nlink /h/to src/to",
		},
		"a source that is a link out of the revision is copied as a link": {
			map[string]string{"rev/out": ">/etc", "h/": ""},
			"files: [{source: out, destination: $/h}]", nil,
			"link /h/out out",
		},
		"two directories merge": {
			map[string]string{"rev/a/d/1": "", "rev/b/d/2": ""},
			"files: [{source: a, destination: $/h}, {source: b, destination: $/h}]", nil,
			"mkdir /h\nmkdir /h/d\ncopy /h/d/1 a/d/1\ncopy /h/d/2 b/d/2",
		},
		"a source that is missing fails when it is copied": {
			map[string]string{"rev/a": ""},
			"files: [{source: '*.txt', destination: $/h}]", nil,
			"mkdir /h\ncopy /h/*.txt *.txt",
		},
		"what is ours goes or is replaced and the rest stays": {
			map[string]string{"rev/app/same": "", "rev/app/new": "", "h/same": "", "h/old": "", "h/gone/x": "", "h/mixed/ours": "", "h/mixed/foreign": ""},
			wholeApp,
			[]appspec.Owned{{Path: "h", Dir: true}, {Path: "h/same"}, {Path: "h/old"}, {Path: "h/gone", Dir: true}, {Path: "h/gone/x"}, {Path: "h/mixed", Dir: true}, {Path: "h/mixed/ours"}},
			"remove /h/mixed/ours\nremove /h/mixed\nremove /h/gone/x\nremove /h/gone\nremove /h/old\nremove /h\ncopy /h/new app/new\ncopy /h/same app/same",
		},
		"a file becomes a directory and a directory a file and a link a directory": {
			map[string]string{"rev/app/a/x": "", "rev/app/b": "", "rev/app/c/passwd": "", "h/a": "", "h/b/x": "", "h/c": ">/etc"},
			wholeApp,
			[]appspec.Owned{{Path: "h", Dir: true}, {Path: "h/a"}, {Path: "h/b", Dir: true}, {Path: "h/b/x"}, {Path: "h/c"}},
			"remove /h/c\nremove /h/b/x\nremove /h/b\nremove /h/a\nmkdir /h\nmkdir /h/a\ncopy /h/a/x app/a/x\ncopy /h/b app/b\nmkdir /h/c\ncopy /h/c/passwd app/c/passwd",
		},
		"the same place by another way is the same place": {
			map[string]string{"rev/app/a": "", "h": ">real", "real/a": ""},
			wholeApp,
			[]appspec.Owned{{Path: "real/a"}},
			"copy /h/a app/a",
		},
		"permissions reach what is made": {
			map[string]string{"rev/app/a.txt": "", "rev/app/b.log": "", "rev/app/d/a.txt": "", "h/foreign.txt": ""},
			wholeApp + "permissions: [{object: $/h, pattern: '*.txt', mode: 600}, {object: $/h/d, mode: 600, except: ['b*']}, {object: $/h/b.log, mode: 600}, {object: $/none, mode: 600}]",
			nil,
			"copy /h/a.txt app/a.txt\ncopy /h/b.log app/b.log\nmkdir /h/d\ncopy /h/d/a.txt app/d/a.txt\nset /h/a.txt\nset /h/d/a.txt\nset /h/b.log",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := disk{}.Real(t.TempDir())
			lay(t, dir, c.files)
			p, err := plan(t, dir, c.spec, appspec.Disallow, c.owned...)
			if err != nil {
				t.Fatal(err)
			}
			if got := told(dir, p); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAPlanRefusesWhatContradictsItselfOrTheHost(t *testing.T) {
	const permission = wholeApp + "permissions: "
	for name, c := range map[string]struct {
		host   map[string]string
		spec   string
		exists appspec.Exists
		want   string // empty: it is no conflict
	}{
		"in the way":             {map[string]string{"h/a": ""}, wholeApp, appspec.Disallow, "a specified file already exists at this location: $/h/a"},
		"overwritten":            {map[string]string{"h/a": ""}, wholeApp, appspec.Overwrite, ""},
		"retained":               {map[string]string{"h/a": ""}, wholeApp, appspec.Retain, ""},
		"a dead link in the way": {map[string]string{"h/a": ">nowhere"}, wholeApp, appspec.Disallow, "already exists at this location"},
		"a directory in the way": {map[string]string{"h/a/": ""}, wholeApp, appspec.Overwrite, "a directory already exists at this location"},
		"a file for a directory": {map[string]string{"h": ""}, wholeApp, appspec.Overwrite, "File exists"},
		"a file above":           {map[string]string{"f": ""}, "files: [{source: app, destination: $/f/x}]", appspec.Overwrite, "File exists"},
		"a dead link above":      {map[string]string{"f": ">nowhere"}, "files: [{source: app/a, destination: $/f}]", appspec.Overwrite, "File exists"},
		"two sources":            {nil, "files: [{source: app, destination: $/h}, {source: alt/a, destination: $/h}]", "", "specifies two source files named alt/a and app/a for the same destination ($/h/a)"},
		"a file at a directory":  {nil, "files: [{source: app, destination: $/h}, {source: alt/d, destination: $/h}]", "", "but a file with that name already exists at the location ($/h/d)"},
		"a directory at a file":  {nil, "files: [{source: alt, destination: $/h}, {source: app, destination: $/h/d}]", "", "an mkdir command more than once"},
		"twice the permissions":  {nil, permission + "[{object: $/h, mode: 600}, {object: $/h/a, owner: x}]", "", "the permissions setting for ($/h/a) is specified more than once"},
		"a pattern for a file":   {nil, permission + "[{object: $/h/a, pattern: '*', mode: 600}]", "", "with an invalid pattern (*)"},
		"except for a file":      {nil, permission + "[{object: $/h/a, except: [b], mode: 600}]", "", "the except parameter for a pattern in the permissions section (b)"},
		"a default acl":          {nil, permission + "[{object: $/h, acls: ['d:u:a:r']}]", "", "the -d parameter has been specified"},
		"of directories only":    {nil, permission + "[{object: $/h, acls: ['d:u:a:r'], type: [directory]}]", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := disk{}.Real(t.TempDir())
			lay(t, dir, map[string]string{"rev/app/a": "", "rev/app/d/x": "", "rev/alt/a": "", "rev/alt/d": ""})
			lay(t, dir, c.host)
			_, err := plan(t, dir, c.spec, c.exists)
			want := strings.ReplaceAll(c.want, "$", dir)
			if want == "" && err != nil || want != "" && (!errors.Is(err, appspec.ErrConflict) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "appspec.yml:")) {
				t.Errorf("got %v, want a conflict with %q", err, want)
			}
		})
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("*a*b", "xaxb")
	f.Add("a*a", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if name == "" || !utf8.ValidString(pattern) || !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00\n") || strings.ContainsAny(pattern, "\x00\n") || strings.Count(pattern, "*") > 4 || pattern == "**" {
			t.Skip()
		}
		dir := "/x"
		perm := appspec.Permission{Object: dir, Pattern: pattern}
		quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "(?s:.*)")
		want := regexp.MustCompile("^" + quoted + "$").MatchString(name)
		if got := perm.Reaches(dir + "/" + name); got != want {
			t.Errorf("pattern %q, name %q: %v", pattern, name, got)
		}
		if perm.Except = []string{pattern}; perm.Reaches(dir+"/"+name) || slices.Contains([]string{"*", "**"}, pattern) && perm.Reaches(dir+"/d/"+name) {
			t.Errorf("except %q, name %q", pattern, name)
		}
	})
}
