package git_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/git"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

// repository makes a repository with a branch main, a tag v1 at its first commit, and a second commit.
func repository(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs git (Debian package git)")
		}
		t.Skip("needs git (Debian package git)")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := t.TempDir()
	commit(t, dir, "init", "-q", "-b", "main")
	put(t, dir, "one")
	commit(t, dir, "tag", "v1")
	put(t, dir, "two")
	return dir
}

func commit(t *testing.T, dir string, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=z", "-c", "user.email=z@example.com"}, argv...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", argv, err, out)
	}
}

func put(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "add", "file")
	commit(t, dir, "commit", "-q", "-m", text)
}

func content(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFunctionsKeepToTheSuite(t *testing.T) {
	url, dir := repository(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	statetest.Run(t, git.States(),
		statetest.Example{Function: "latest", Name: url, Args: data.NewMap("target", at("head")), Touches: []string{dir}},
		statetest.Example{Function: "latest", Name: url, Args: data.NewMap("target", at("tag"), "rev", "v1", "branch", "main"), Touches: []string{dir}},
		statetest.Example{Function: "latest", Name: url, Args: data.NewMap("target", at("detached"), "rev", "v1"), Touches: []string{dir}},
		statetest.Example{Function: "cloned", Name: url, Args: data.NewMap("target", at("cloned"), "branch", "main"), Touches: []string{dir}},
		statetest.Example{Function: "config_set", Name: "user.name", Args: data.NewMap("value", "Zed", "repo", url)},
	)
	for name, want := range map[string]string{"head": "two", "tag": "one", "detached": "one", "cloned": "two"} {
		if got := content(t, at(name)); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestLatestFollowsTheRemoteAndKeepsWhatWasChanged(t *testing.T) {
	url, dir := repository(t), filepath.Join(t.TempDir(), "clone")
	latest := func(args ...any) state.Result {
		t.Helper()
		all := data.NewMap("target", dir, "rev", "main")
		for i := 0; i < len(args); i += 2 {
			all.Set(args[i], args[i+1])
		}
		return git.States()["latest"].Run(t.Context(), &state.Call{Name: url, Args: all, Host: statetest.Host(t, "")})
	}
	if res := latest(); res.Verdict != state.True {
		t.Fatalf("got %+v", res)
	}
	put(t, url, "three")
	if res := latest(); res.Verdict != state.True || content(t, dir) != "three" {
		t.Errorf("got %+v, %q", res, content(t, dir))
	}
	put(t, url, "four")
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := latest(); res.Verdict != state.False || content(t, dir) != "mine" || !strings.Contains(res.Comment, "uncommitted changes") {
		t.Errorf("got %+v, %q", res, content(t, dir))
	}
	if res := latest("force_reset", true); res.Verdict != state.True || content(t, dir) != "four" {
		t.Errorf("got %+v, %q", res, content(t, dir))
	}
	if res := latest("rev", "nosuch"); res.Verdict != state.False {
		t.Errorf("got %+v", res)
	}
}
