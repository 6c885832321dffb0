package inplace_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/minion/inplace"
	"github.com/brine-deploy/brine/pkg/appspec"
)

// host is a scratch machine: DIR/srv is where applications go.
type host struct {
	t   *testing.T
	dir string
	in  inplace.Installation
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := scratch(t)
	for _, d := range []string{"srv", "state"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	return &host{t, dir, inplace.Installation{File: filepath.Join(dir, "state/installed.json"), Umask: 0o022}}
}

// scratch is a directory in memory where there is one: each install syncs its file system.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "inplace")
	if err != nil {
		return inplace.Host{}.Real(t.TempDir())
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree is what files there are: name -> content, a directory's name ends in a slash, a link's content begins with >.
type tree map[string]string

func (h *host) lay(dir string, files tree) {
	h.t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		must(h.t, os.MkdirAll(filepath.Dir(file), 0o755))
		switch {
		case strings.HasSuffix(name, "/"):
			must(h.t, os.MkdirAll(file, 0o755))
		case strings.HasPrefix(content, ">"):
			must(h.t, os.Symlink(content[1:], file))
		default:
			must(h.t, os.WriteFile(file, []byte(content), 0o644))
		}
	}
}

// install installs a revision as /srv/app.
func (h *host) install(files tree, permissions string) error {
	h.t.Helper()
	rev := h.t.TempDir()
	h.lay(rev, files)
	app := filepath.Join(h.dir, "srv/app")
	spec, err := appspec.Parse("appspec.yml", []byte(strings.ReplaceAll("version: 0.0\nos: linux\nfiles: [{source: /, destination: $}]\n"+permissions, "$", app)))
	must(h.t, err)
	root, err := os.OpenRoot(rev)
	must(h.t, err)
	defer func() { _ = root.Close() }()
	plan, err := h.in.Plan(spec, root, appspec.Disallow)
	if err != nil {
		return err
	}
	return h.in.Run(h.t.Context(), plan, root)
}

// look tells what is below /srv.
func (h *host) look() tree {
	h.t.Helper()
	out := tree{}
	must(h.t, filepath.WalkDir(filepath.Join(h.dir, "srv"), func(name string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(filepath.Join(h.dir, "srv"), name)
		switch {
		case err != nil || rel == ".":
			return err
		case e.IsDir():
			out[rel+"/"] = ""
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			out[rel] = ">" + target
			return err
		default:
			data, err := os.ReadFile(name)
			out[rel] = string(data)
			return err
		}
		return nil
	}))
	return out
}

func (h *host) want(want tree) {
	h.t.Helper()
	if got := h.look(); !maps.Equal(got, want) {
		h.t.Errorf("there is\n%q, want\n%q", got, want)
	}
}

// Of these one has what two has not, and each a file where the other has a directory, and links.
var (
	one = tree{"same": "1", "only1": "1", "d/a": "1", "d/e/b": "1", "turn": "file", "nrut/x": "1", "link": ">same", "to": ">/etc"}
	two = tree{"same": "2", "only2": "2", "d/a": "2", "turn/x": "2", "nrut": "file", "link": ">only2", "to/passwd": "2"}
)

// placed is what is below /srv after an install, with what somebody else has there.
func placed(files tree) tree {
	out := tree{"app/": "", "foreign": "f"}
	for name, content := range files {
		for dir := filepath.Dir("app/" + name); dir != "."; dir = filepath.Dir(dir) {
			out[dir+"/"] = ""
		}
		out["app/"+name] = content
	}
	return out
}

func TestARevisionTakesThePlaceOfTheOneBefore(t *testing.T) {
	h := newHost(t)
	h.lay(filepath.Join(h.dir, "srv"), tree{"foreign": "f"})
	for _, files := range []tree{one, one, two, one, {}} {
		must(t, h.install(files, ""))
		h.want(placed(files))
	}
}

func TestForeignFilesStayAndAreNotOverwritten(t *testing.T) {
	h := newHost(t)
	must(t, h.install(one, ""))
	h.lay(filepath.Join(h.dir, "srv/app/d"), tree{"mine": "m"})
	must(t, h.install(tree{}, ""))
	h.want(tree{"app/": "", "app/d/": "", "app/d/mine": "m"})
	if err := h.install(tree{"d/mine": "not mine", "new": "n"}, ""); !errors.Is(err, appspec.ErrConflict) {
		t.Errorf("got %v", err)
	}
	h.want(tree{"app/": "", "app/d/": "", "app/d/mine": "m"})
}

// crash is what a test panics with where a process would die.
type crash struct{}

// dies runs do until it has come to so many steps, and reports whether it did.
func (h *host) dies(steps int, do func() error) (died bool) {
	h.in.Reached = func(string) {
		if steps--; steps < 0 {
			panic(crash{})
		}
	}
	defer func() {
		h.in.Reached = nil
		switch r := recover(); r {
		case nil:
		case crash{}:
			died = true
		default:
			panic(r)
		}
	}()
	if err := do(); err != nil {
		h.t.Errorf("install: %v", err)
	}
	return false
}

func TestAfterACrashAtAnyStepTheNextInstallWorksAndLeavesNothing(t *testing.T) {
	for n := 0; ; n++ {
		died := true
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHost(t)
			h.lay(filepath.Join(h.dir, "srv"), tree{"foreign": "f"})
			must(t, h.install(one, ""))
			died = h.dies(n, func() error { return h.install(two, "") })
			for name, content := range h.look() {
				if name == "app/same" && content != "1" && content != "2" {
					t.Errorf("%s is %q", name, content)
				}
			}
			if died { // a real death leaves half a file
				for _, dir := range []string{"app", "app/d", "app/turn"} {
					_ = os.WriteFile(filepath.Join(h.dir, "srv", dir, h.in.Temporary()), []byte("half"), 0o600) // where there is one
				}
			}
			must(t, h.install(tree{"third": "3"}, ""))
			h.want(placed(tree{"third": "3"}))
		})
		if !died {
			break
		}
	}
}

func TestAfterACrashAtAnyStepEverythingCanBePutBackAsItWas(t *testing.T) {
	for n := 0; ; n++ {
		died := true
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHost(t)
			h.in.Undo = filepath.Join(h.dir, "state/undo")
			h.lay(filepath.Join(h.dir, "srv"), tree{"foreign": "f"})
			must(t, h.install(one, "permissions: [{object: $, mode: 750}]"))
			must(t, h.in.Settle())
			before := h.stats()
			died = h.dies(n, func() error { return h.install(two, "permissions: [{object: $, mode: 700}]") })
			if died {
				for _, dir := range []string{"app", "app/d", "app/turn"} {
					_ = os.WriteFile(filepath.Join(h.dir, "srv", dir, h.in.Temporary()), []byte("half"), 0o600)
				}
			}
			for again := 0; h.dies(again, h.in.Back); again++ { // it may die too
			}
			h.want(placed(one))
			if after := h.stats(); !slices.Equal(before, after) {
				t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			if _, err := os.Lstat(h.in.Undo); err == nil {
				t.Error("undo is still there")
			}
			must(t, h.install(two, ""))
			h.want(placed(two))
		})
		if !died {
			break
		}
	}
}

// stats tells modes and times, by which a file is seen to be the very same.
func (h *host) stats() (out []string) {
	h.t.Helper()
	for name := range h.look() {
		info, err := os.Lstat(filepath.Join(h.dir, "srv", name))
		must(h.t, err)
		line := fmt.Sprint(name, " ", info.Mode())
		if !info.IsDir() {
			line += fmt.Sprint(" ", info.ModTime())
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func TestADirectoryThatBecameALinkIsNotFollowed(t *testing.T) {
	h := newHost(t)
	must(t, h.install(one, ""))
	outside := filepath.Join(h.dir, "outside")
	h.lay(outside, tree{"a": "precious", "e/b": "precious"})
	must(t, os.Rename(filepath.Join(h.dir, "srv/app/d"), filepath.Join(h.dir, "srv/app/away")))
	must(t, os.Symlink(outside, filepath.Join(h.dir, "srv/app/d")))
	must(t, h.install(tree{"new": "n"}, "")) // takes the files of one away
	for _, name := range []string{"a", "e/b"} {
		if data, err := os.ReadFile(filepath.Join(outside, name)); err != nil || string(data) != "precious" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestAFileThatFailsLeavesTheRestToTheNextInstall(t *testing.T) {
	h := newHost(t)
	must(t, h.install(one, ""))
	rev := t.TempDir()
	h.lay(rev, tree{"app/x": "x"})
	spec, err := appspec.Parse("appspec.yml", []byte("version: 0.0\nos: linux\nfiles: [{source: app, destination: "+h.dir+"/srv/app}, {source: none, destination: "+h.dir+"/srv/app}]\n"))
	must(t, err)
	root, err := os.OpenRoot(rev)
	must(t, err)
	defer func() { _ = root.Close() }()
	plan, err := h.in.Plan(spec, root, appspec.Disallow)
	must(t, err)
	if err := h.in.Run(t.Context(), plan, root); err == nil || !strings.Contains(err.Error(), "No such file or directory") {
		t.Errorf("got %v", err)
	}
	must(t, h.install(two, ""))
	want := placed(two)
	delete(want, "foreign")
	h.want(want)
}

// TestContextsAreToldToSELinuxAndTakenBack has programs in the place of SELinux's own, which write down what they are told.
func TestContextsAreToldToSELinuxAndTakenBack(t *testing.T) {
	h := newHost(t)
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	spec := "permissions: [{object: $, pattern: a+b, context: {user: system_u, type: httpd_t, range: s0-s2}}]\n"
	err := h.install(tree{"a+b": "1"}, spec)
	if err == nil || !strings.Contains(err.Error(), "semanage") {
		t.Errorf("without SELinux's programs: %v", err)
	}
	for _, name := range []string{"semanage", "restorecon"} {
		text := "#!/bin/sh\necho " + name + " \"$@\" >>" + bin + "/told\n"
		must(t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755)) //nolint:gosec // it is run
	}
	told := func() string {
		text, _ := os.ReadFile(filepath.Join(bin, "told"))
		must(t, os.RemoveAll(filepath.Join(bin, "told")))
		return strings.ReplaceAll(string(text), filepath.Join(h.dir, "srv"), "/srv")
	}
	must(t, h.install(tree{"a+b": "1"}, spec))
	if want := "semanage fcontext -a -s system_u -t httpd_t -r s0-s2 /srv/app/a\\+b\nrestorecon -v /srv/app/a+b\n"; told() != want {
		t.Errorf("not told: %s", want)
	}
	must(t, h.install(tree{"a+b": "2"}, ""))
	if want := "semanage fcontext -d /srv/app/a\\+b\n"; !strings.Contains(told(), want) {
		t.Errorf("not told: %s", want)
	}
	must(t, os.WriteFile(filepath.Join(bin, "restorecon"), []byte("#!/bin/sh\necho no policy; exit 1\n"), 0o755)) //nolint:gosec // it is run
	if err := h.install(tree{"a+b": "3"}, spec); err == nil || !strings.Contains(err.Error(), "exit status 1: no policy") {
		t.Errorf("restorecon failed: %v", err)
	}
}
