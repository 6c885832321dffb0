package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
)

// TestWhatHooksSayIsShownAsItComes watches a hook that waits: its line is there before it ends, for who has started the
// deployment and for who comes later.
func TestWhatHooksSayIsShownAsItComes(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 1})
	s.Commit("v1")
	gate := s.Gate("web1-ApplicationStart")
	deploy := s.Start("deploy", "shop", "production", "--ref", "v1", "--yes", "--log")
	s.Await("the hook's line is shown", func() bool { return deploy.Says("web1  ApplicationStart | waits at its gate") })
	watch := s.Start("watch", "--log")
	s.Await("the hook's line is shown to another", func() bool { return watch.Says("web1  ApplicationStart | waits at its gate") })
	gate.Open()
	deploy.Must(0)
	watch.Must(0)
	if !deploy.Says("ApplicationStart hooks/production/ApplicationStart.sh ok") {
		t.Error("its events are not shown")
	}
}

func TestATestOfADeploymentTellsTheChangesAndMakesNone(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 1})
	s.Commit("v1")
	r := s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--test")
	for _, want := range []string{"web1:", "fetch revision ", "ApplicationStart: run hooks/production/ApplicationStart.sh", "make revision "} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("not told: %s\n%s", want, r.Stdout)
		}
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "web1", "shop", ".brine")); err == nil {
		t.Error("its root was prepared")
	}
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	if r := s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--test"); !strings.Contains(r.Stdout, "already at this revision") {
		t.Errorf("told:\n%s", r.Stdout)
	}
}
