package git_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/source"
	"github.com/brine-deploy/brine/master/source/all"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// repo is a git repository that a test commits to.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs git")
		}
		t.Skip("needs git (Debian package git)")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	r := repo{t, t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	return r
}

func (r repo) url() string { return "file://" + r.dir }

func (r repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "protocol.file.allow=always", "-c", "user.name=Ann", "-c", "user.email=ann@example.org"}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2024-05-06T07:08:09+02:00", "GIT_AUTHOR_DATE=2024-05-06T07:08:09+02:00")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file, commits it with the name as the subject and gives the commit.
func (r repo) commit(name, content string) string {
	r.t.Helper()
	full := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("commit", "--quiet", "-m", "add "+name, "-m", "a body")
	return r.git("rev-parse", "HEAD")
}

func open(t *testing.T, spec fleet.SourceSpec, cache string) source.Source {
	t.Helper()
	src, err := all.New(spec, cache)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func resolve(t *testing.T, src source.Source, ref string) fleet.Origin {
	t.Helper()
	o, err := src.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// export gives the files of an origin: name -> content.
func export(t *testing.T, src source.Source, o fleet.Origin) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := src.Export(t.Context(), o, dir); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && name != ".git" {
			return err
		}
		b, _ := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestEveryKindOfRefResolves(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	r.git("tag", "v1")
	second := r.commit("a", "2")
	r.git("tag", "-a", "-m", "annotated", "v2")
	r.git("branch", "feature/x")
	third := r.commit("a", "3")
	src := open(t, fleet.SourceSpec{URL: r.url()}, t.TempDir())
	for ref, want := range map[string]string{
		"main": third, "feature/x": second, "v1": first, "v2": second, "refs/heads/feature/x": second, "refs/tags/v1": first,
		first: first, first[:7]: first, second[:12]: second,
	} {
		if o := resolve(t, src, ref); o.Commit != want || o.Ref != ref {
			t.Errorf("%s is %+v, want %s", ref, o, want)
		}
	}
	o := resolve(t, src, "")
	want := fleet.Origin{Ref: "main", Commit: third, Author: "Ann <ann@example.org>", Subject: "add a", Time: time.Date(2024, 5, 6, 5, 8, 9, 0, time.UTC)}
	if o != want {
		t.Errorf("the default is %+v, want %+v", o, want)
	}
	if o := resolve(t, open(t, fleet.SourceSpec{Type: "git", URL: r.dir, Ref: "v1"}, t.TempDir()), ""); o.Commit != first {
		t.Errorf("the spec's ref is %+v, want %s", o, first)
	}
}

func TestAnUnknownRefNamesThoseThatLookLikeIt(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	for i := range 8 {
		r.git("tag", fmt.Sprintf("v%d", i+40))
	}
	src := open(t, fleet.SourceSpec{URL: r.url()}, t.TempDir())
	for _, ref := range []string{"v4", "mian", "v40^", "main..v41", "-h", "--upload-pack=touch /tmp/x", "@{1}", "HEAD", "a b", "0123abcd", strings.Repeat("ab", 20)} {
		_, err := src.Resolve(t.Context(), ref)
		if !errors.Is(err, source.ErrUnknownRef) || !strings.Contains(err.Error(), "4 more") {
			t.Errorf("%s: %v", ref, err)
		}
	}
	_, err := src.Resolve(t.Context(), "mian")
	if err == nil || !strings.Contains(err.Error(), `unknown ref "mian" in file://`) || !strings.Contains(err.Error(), "main") {
		t.Errorf("%v", err)
	}
}

func TestKnownCommitsNeedNoRemote(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	r.commit("a", "2")
	cache := t.TempDir()
	spec := fleet.SourceSpec{URL: r.url()}
	resolve(t, open(t, spec, cache), "main")
	if err := os.Rename(r.dir, r.dir+".gone"); err != nil {
		t.Fatal(err)
	}
	src := open(t, spec, cache)
	o := resolve(t, src, first)
	if files := export(t, src, o); files["a"] != "1" {
		t.Errorf("exported %v", files)
	}
	if _, err := src.Resolve(t.Context(), "main"); err == nil || errors.Is(err, source.ErrUnknownRef) || !strings.Contains(err.Error(), "fetch") {
		t.Errorf("a branch of a remote that is gone: %v", err)
	}
}

func TestCommitsThatNoBranchHasAnyMoreStayExportable(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	lost := r.commit("a", "lost")
	cache := t.TempDir()
	src := open(t, fleet.SourceSpec{URL: r.url()}, cache)
	o := resolve(t, src, "main")
	r.git("reset", "--quiet", "--hard", "HEAD~1")
	if now := resolve(t, src, "main"); now.Commit == lost {
		t.Error("a branch that was set back still means its old commit")
	}
	mirrors, _ := filepath.Glob(filepath.Join(cache, "git-*[0-9a-f]"))
	repo{t, mirrors[0]}.git("gc", "--quiet", "--prune=now")
	if files := export(t, src, o); files["a"] != "lost" {
		t.Errorf("exported %v", files)
	}
	// A cache that was removed is filled again, also with what only the commit's name leads to.
	r.git("config", "uploadpack.allowAnySHA1InWant", "true")
	if files := export(t, open(t, fleet.SourceSpec{URL: r.url()}, t.TempDir()), o); files["a"] != "lost" {
		t.Errorf("exported %v", files)
	}
}

func TestSubmodulesComeAlongWithoutMetadata(t *testing.T) {
	inner, lib, app := newRepo(t), newRepo(t), newRepo(t)
	inner.commit("deep", "deep")
	lib.commit("lib", "lib 1")
	lib.git("submodule", "--quiet", "add", inner.url(), "inner")
	lib.git("commit", "--quiet", "-m", "with inner")
	app.commit("app", "app")
	app.git("submodule", "--quiet", "add", "../"+filepath.Base(lib.dir), "vendor/lib")
	app.git("commit", "--quiet", "-a", "-m", "with lib")
	lib.commit("lib", "lib 2") // not what app asks for
	for submodules, want := range map[bool]string{false: "", true: "lib 1"} {
		src := open(t, fleet.SourceSpec{URL: app.url(), Submodules: submodules}, t.TempDir())
		files := export(t, src, resolve(t, src, ""))
		if files["app"] != "app" || files["vendor/lib/lib"] != want {
			t.Errorf("submodules %v: exported %v", submodules, files)
		}
		if _, deep := files["vendor/lib/inner/deep"]; deep != submodules {
			t.Errorf("submodules %v: exported %v", submodules, files)
		}
		for name := range files {
			if filepath.Base(name) == ".git" {
				t.Errorf("exported %s", name)
			}
		}
	}
}

func TestManyMayUseOneMirrorAtOnce(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 6 {
		src := open(t, fleet.SourceSpec{URL: r.url()}, cache)
		dir := t.TempDir()
		wg.Go(func() {
			o, err := src.Resolve(t.Context(), "main")
			if err == nil {
				err = src.Export(t.Context(), o, dir)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(filepath.Join(cache, "export-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAServerThatSaysNothingIsGivenUpWithTheContext(t *testing.T) {
	newRepo(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	src := open(t, fleet.SourceSpec{URL: "http://user:pass@" + silent.Addr().String() + "/x.git"}, t.TempDir())
	started := time.Now()
	_, err = src.Resolve(ctx, "main")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 4*time.Second {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	if err != nil && strings.Contains(err.Error(), "pass") {
		t.Errorf("the password is in %v", err)
	}
}

func TestURLsThatMeanSomethingElseAreRefused(t *testing.T) {
	for _, url := range []string{
		"", "-u", "--upload-pack=touch x", "ext::sh -c touch%20x", "fd::3", "relative/path", "../up", "ssh://-oProxyCommand=x/y", "https://a b/c",
		"-o@host:x", "ftp://example.org/x", "file://host/x", "host:",
	} {
		if _, err := all.New(fleet.SourceSpec{URL: url}, t.TempDir()); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
	for _, url := range []string{"git@example.org:team/shop.git", "host:/srv/x.git", "ssh://git@example.org:2222/x", "https://example.org/x.git", "file:///srv/x", "/srv/x"} {
		if _, err := all.New(fleet.SourceSpec{URL: url}, t.TempDir()); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	_, err := all.New(fleet.SourceSpec{Type: "svm", URL: "/srv/x"}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `unknown type "svm"; known: git`) {
		t.Errorf("unknown type: %v", err)
	}
}
