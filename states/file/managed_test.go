package file_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/file"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

const helloSum = "sha256=5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" // of "hello\n"

func TestManagedFetchesOnceWhatItsChecksumProves(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/sums" {
			_, _ = w.Write([]byte(strings.Repeat("0", 64) + "  other\n" + strings.TrimPrefix(helloSum, "sha256=") + " *hello\n"))
			return
		}
		_, _ = w.Write([]byte("hello\n"))
	}))
	defer server.Close()
	host, dir := statetest.Host(t, ""), t.TempDir()
	managed := func(name string, args *data.Map) state.Result {
		return file.States()["managed"].Run(t.Context(), &state.Call{Name: filepath.Join(dir, name), Args: args, Host: host})
	}
	good := data.NewMap("source", server.URL+"/hello", "source_hash", helloSum)
	for range 2 {
		if res := managed("a", good); res.Verdict != state.True {
			t.Fatalf("got %+v", res)
		}
	}
	if res := managed("b", good); res.Verdict != state.True || asked != 1 {
		t.Errorf("got %+v, and the server was asked %d times", res, asked)
	}
	if res := managed("c", data.NewMap("source", server.URL+"/hello", "source_hash", server.URL+"/sums")); res.Verdict != state.True {
		t.Errorf("with a file of checksums: %+v", res)
	}
	for name, args := range map[string]*data.Map{
		"wrong": data.NewMap("source", server.URL+"/hello", "source_hash", strings.Repeat("0", 32)),
		"none":  data.NewMap("source", server.URL+"/hello"),
		"ftp":   data.NewMap("source", "ftp://example.com/x", "skip_verify", true),
	} {
		res := managed(name, args)
		if _, err := os.Stat(filepath.Join(dir, name)); res.Verdict != state.False || err == nil {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func TestManagedKeepsSecretsAndOwnersToThemselves(t *testing.T) {
	host, dir := statetest.Host(t, ""), t.TempDir()
	host.Pillar.Set("key", "secret")
	path, link := filepath.Join(dir, "f"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args *data.Map) state.Result {
		return file.States()["managed"].Run(t.Context(), &state.Call{Name: name, Args: args, Host: host})
	}
	res := run(link, data.NewMap("contents_pillar", "key"))
	if text, _ := res.Changes.Get("diff"); res.Verdict != state.True || text != "<show_changes=False>" {
		t.Errorf("got %+v with %v", res, text)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if res := run(link, data.NewMap("contents", "new", "follow_symlinks", false)); res.Verdict != state.True {
		t.Errorf("got %+v", res)
	}
	for name, want := range map[string]string{path: "secret\n", link: "new\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
}

func TestManagedAsksCheckCmdBeforeItChangesAnything(t *testing.T) {
	host, path := statetest.Host(t, ""), filepath.Join(t.TempDir(), "f")
	for _, test := range []struct {
		contents string
		want     state.Verdict
	}{{"nonsense", state.False}, {"valid", state.True}} {
		res := file.States()["managed"].Run(t.Context(), &state.Call{
			Name: path, Args: data.NewMap("contents", test.contents, "check_cmd", "grep -q valid"), Host: host,
		})
		if _, err := os.Stat(path); res.Verdict != test.want || (err == nil) != (test.want == state.True) {
			t.Errorf("%s: %+v, %v", test.contents, res, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "valid\n" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestRecurseFollowsNoLinkOutOfItsDirectory(t *testing.T) {
	root, dir, outside := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(root, "tree/sub/f"), "x")
	if err := os.Symlink(outside, filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	res := file.States()["recurse"].Run(t.Context(), &state.Call{Name: dir, Args: data.NewMap("source", "salt://tree"), Host: statetest.Host(t, root)})
	if left, err := os.ReadDir(outside); res.Verdict != state.False || err != nil || len(left) > 0 {
		t.Errorf("got %+v, and %v outside", res, left)
	}
}

func TestTemplatesKnowTheFileThatTheyMake(t *testing.T) {
	host, dir := statetest.Host(t, ""), t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen *data.Map
	host.Render = func(_ context.Context, _, text, _ string, vars *data.Map) (string, error) {
		seen = vars
		return text, nil
	}
	res := file.States()["managed"].Run(t.Context(), &state.Call{
		Name: filepath.Join(dir, "a"), Host: host,
		Args: data.NewMap("source", source, "template", "jinja", "mode", "0644", "context", data.NewMap("source", "mine")),
	})
	name, _ := seen.Get("name")
	from, _ := seen.Get("source")
	mode, _ := seen.Get("mode")
	if res.Verdict != state.True || name != filepath.Join(dir, "a") || from != "mine" || mode != "0644" {
		t.Errorf("%+v: name %v, source %v, mode %v", res, name, from, mode)
	}
}
