package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
)

// eventually waits for what must come true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestHighstateComesBeforeThePool lets a newcomer in only once the states of the top file hold on it.
func TestHighstateComesBeforeThePool(t *testing.T) {
	t.Parallel()
	states, target := t.TempDir(), t.TempDir()
	broken := filepath.Join(target, "broken")
	for name, text := range map[string]string{
		"top.sls":   "base:\n  '*': [base]\n",
		"base.sls":  target + "/{{ grains['id'] }}:\n  file.managed:\n    - contents: here\n",
		"check.sls": "include: [base]\n{% if grains['id'] == 'web2' %}\n'test ! -e " + broken + "': cmd.run\n{% endif %}\n",
		"slow.sls":  "sleep 0.5: cmd.run\n",
	} {
		if err := os.WriteFile(filepath.Join(states, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 1, HAProxy: true, Master: "states: {root: " + states + "}\n"})
	s.Commit("v1")
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	if _, err := os.Stat(filepath.Join(target, "web1")); err != nil {
		t.Errorf("the states were not applied at start: %v", err)
	}

	if err := os.WriteFile(filepath.Join(states, "top.sls"), []byte("base:\n  '*': [check]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.AddMinion("web2")
	eventually(t, "the highstate of web2 fails", func() bool {
		return strings.Contains(s.Must(0, "jobs", "list", "-o", "json").Stdout, `"failed": 1`)
	})
	if at := s.Serves("web2"); strings.Contains(at, "v1") {
		t.Errorf("web2 serves %q", at)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	s.Must(0, "run", "web2", "state.highstate")
	eventually(t, "web2 serves", func() bool { return strings.Contains(s.Serves("web2"), "v1") })

	// Calls wait for each other.
	one := s.Must(0, "run", "web1", "state.apply", "slow", "--async").Stdout
	two := s.Must(0, "run", "web1", "state.apply", "slow", "--async").Stdout
	for _, job := range []string{one, two} {
		s.Must(0, "jobs", "watch", strings.TrimSpace(job))
	}
}

// TestHighstateComesBack repairs what was changed on a host, as often as its minion is told to.
func TestHighstateComesBack(t *testing.T) {
	t.Parallel()
	states, target := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"top.sls":  "base:\n  '*': [base]\n",
		"base.sls": target + "/{{ grains['id'] }}:\n  file.managed:\n    - contents: here\n",
	} {
		if err := os.WriteFile(filepath.Join(states, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fleettest.StartShop(t, fleettest.ShopConfig{
		Bin: bin, Minions: 1, Master: "states: {root: " + states + "}\n", Env: []string{"BRINE_HIGHSTATE_EVERY=1s", "BRINE_HIGHSTATE_SPLAY=1s"},
	})
	file := filepath.Join(target, "web1")
	for range 2 {
		eventually(t, "the file is there", func() bool { _, err := os.Stat(file); return err == nil })
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}
