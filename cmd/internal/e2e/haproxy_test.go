package e2e

import (
	"testing"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
)

// allUp is the pool when every minion serves.
func allUp(s *fleettest.Shop) bool {
	for _, state := range s.Pool() {
		if state != "up" {
			return false
		}
	}
	return true
}

// wantAll checks that every minion has the revision, whole, runs it, and serves in the pool.
func wantAll(t *testing.T, s *fleettest.Shop, tag string) {
	t.Helper()
	for _, id := range s.Minions {
		if live, serves := s.Live(id), s.Serves(id); live != tag || serves != tag {
			t.Errorf("%s has %s and serves %q, want %s", id, live, serves, tag)
		}
	}
	if pool := s.Pool(); !allUp(s) {
		t.Errorf("the pool is %v", pool)
	}
}

func TestNoRequestFailsBehindHAProxyWhileRevisionsChange(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 3, HAProxy: true})
	s.Commit("v1")
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	s.Commit("v2")

	load := fleettest.StartLoad(t, s.Front.URL)
	s.Must(0, "deploy", "shop", "production", "--ref", "v2", "--yes")
	wantAll(t, s, "v2")
	s.Must(0, "rollback", "shop", "production", "--yes")
	wantAll(t, s, "v1")
	answers := load.Stop()
	if answers["v1"] == 0 || answers["v2"] == 0 || len(answers) != 2 {
		t.Errorf("the answers were %v", answers)
	}
	t.Log(answers)
}

// TestNoRequestFailsBehindHAProxyWhileAMinionIsKilled kills web2's minion inside its job. Whatever its hooks do meanwhile,
// nobody gets to see it.
func TestNoRequestFailsBehindHAProxyWhileAMinionIsKilled(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 3, HAProxy: true})
	s.Commit("v1")
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	s.Commit("v2")
	load := fleettest.StartLoad(t, s.Front.URL)

	for _, tc := range []struct {
		event string
		dead  func(gate fleettest.Gate) // what happens on the host while the minion is dead
	}{
		{"ApplicationStop-v1", func(fleettest.Gate) {}},
		{"ApplicationStart-v2", func(gate fleettest.Gate) { // the hook goes on: the new service runs in the old one's place
			gate.Open()
			s.Await("web2 serves v2", func() bool { return s.Serves("web2") == "v2" })
		}},
		{"ApplicationStart-v2", func(fleettest.Gate) {}},
		{"ValidateService-v2", func(fleettest.Gate) {}},
	} {
		gate := s.Gate("web2-" + tc.event)
		deploy := s.Start("deploy", "shop", "production", "--ref", "v2", "--yes")
		s.Await("web2 is in "+tc.event, gate.Reached)
		if err := s.Kill("web2"); err != nil {
			t.Fatal(err)
		}
		tc.dead(gate)
		s.StartMinion("web2")
		gate.Open()
		r := deploy.Must(4)
		t.Log(r.Stdout, r.Stderr)
		s.Await("all deployments have ended", s.Quiet)
		wantAll(t, s, "v1")
	}
	answers := load.Stop()
	t.Log(answers)
}
