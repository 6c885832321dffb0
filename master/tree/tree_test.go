package tree_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/tree"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/pillar"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newTree(t *testing.T, cfg config.States, dir string) *tree.Tree {
	t.Helper()
	tr, err := tree.New(cfg, map[string]any{"webs": "G@role:web"}, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestEachMinionGetsItsOwnPillar(t *testing.T) {
	identity, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := archive.Encrypt("hunter2", identity)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(write(t, t.TempDir(), map[string]string{"key": identity + "\n"}), "key")
	dir := write(t, t.TempDir(), map[string]string{
		"top.sls":    "base:\n  'N@webs': [web]\n  'G@role:db': [db]\n  'broken*': [broken]\n",
		"web.sls":    "port: {{ 8000 + grains['n'] }}\nid: {{ opts['id'] }}\nruns: {{ 'cmd.run' in salt }}\n",
		"db.sls":     "password: |\n  " + strings.ReplaceAll(strings.TrimSpace(sealed), "\n", "\n  ") + "\n",
		"broken.sls": "secret: {{ nothing.there }}\n",
	})
	tr := newTree(t, config.States{Pillar: config.Roots{"base": {{Dir: dir}}}, PillarKeyFile: key}, t.TempDir())
	for id, c := range map[fleet.MinionID]struct {
		grains fleet.Grains
		want   *data.Map
	}{
		"web1": {fleet.Grains{"role": "web", "n": 1}, data.NewMap("port", int64(8001), "id", "web1", "runs", false)},
		"db1":  {fleet.Grains{"role": "db"}, data.NewMap("password", "hunter2")},
		"new":  {nil, &data.Map{}},
	} {
		got, err := tr.Pillar(t.Context(), fleet.Minion{ID: id, Grains: c.grains}, nil)
		if err != nil || !data.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", id, data.Plain(got), err)
		}
	}
	_, err = tr.Pillar(t.Context(), fleet.Minion{ID: "broken1"}, nil)
	var bad pillar.Errors
	if !errors.As(err, &bad) || bad[0].File != "pillar:broken" || bad[0].Line != 1 {
		t.Errorf("%v", err)
	}
}

func TestManyWhoAskShareOneLook(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"a.sls": "x"})
	tr := newTree(t, config.States{Root: config.Roots{"base": {{Dir: dir}}}}, t.TempDir())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if index, err := tr.Index(t.Context()); err != nil || len(index["base"]) != 1 {
				t.Errorf("%v, %v", index, err)
			}
		})
	}
	all.Wait()
	write(t, dir, map[string]string{"a.sls": "y", "b.sls": "z"}) // of the same size, a moment later
	index, err := tr.Index(t.Context())
	if err != nil || len(index["base"]) != 2 {
		t.Fatalf("%v, %v", index, err)
	}
	entry := index["base"][0]
	if piece, err := tr.Chunk(t.Context(), "base", entry, 0); err != nil || string(piece) != "y" {
		t.Errorf("%q, %v", piece, err)
	}
	for _, wrong := range []fileroot.Entry{{Name: "../a.sls", Size: 1}, {Name: "a.sls", Size: 2}, {Name: "c.sls", Size: 1}} {
		if piece, err := tr.Chunk(t.Context(), "base", wrong, 0); err == nil {
			t.Errorf("%+v: %q", wrong, piece)
		}
	}
}

func TestAGitRootFollowsItsBranch(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs git (Debian package git)")
		}
		t.Skip("needs git (Debian package git)")
	}
	repo := t.TempDir()
	git := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", repo, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	git("init", "-q", "-b", "main")
	commit := func(text string) {
		write(t, repo, map[string]string{"salt/web.sls": text})
		git("add", ".")
		git("commit", "-q", "-m", "x")
	}
	commit("first")
	cfg := config.States{Root: config.Roots{"base": {{Git: "file://" + repo, Ref: "main", Path: "salt"}}}, GitInterval: "50ms"}
	state := t.TempDir()
	tr := newTree(t, cfg, state)
	if _, err := tr.Index(t.Context()); err == nil || !strings.Contains(err.Error(), "not there yet") {
		t.Errorf("before it was asked: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = tr.Run(ctx) })
	until := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			index, err := tr.Index(t.Context())
			if err == nil && len(index["base"]) == 1 {
				piece, err := tr.Chunk(t.Context(), "base", index["base"][0], 0)
				if err == nil && string(piece) == want && index["base"][0].Name == "web.sls" {
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s: %v, %v", want, index, err)
			}
		}
	}
	until("first")
	commit("second")
	until("second")
	cancel()
	running.Wait()
	if err := os.RemoveAll(repo); err != nil {
		t.Fatal(err)
	}
	tr = newTree(t, cfg, state) // the repository is gone; what was there last is served
	until("second")
}
