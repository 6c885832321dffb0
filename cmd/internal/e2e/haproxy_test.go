package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// allUp reports whether every minion serves; without a balancer it does.
func allUp(s *fleettest.Shop) bool {
	for _, state := range s.Pool() {
		if state != "up" && state != "" {
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
	s.Await("every member is up", func() bool { return allUp(s) }) // a check that came late takes "up" away for a moment
}

func TestNoRequestFailsBehindHAProxyWhileRevisionsChange(t *testing.T) {
	t.Parallel()
	forthAndBack(t, fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 3, HAProxy: true}))
}

// endSupervisors kills what watches over a minion's hooks, as a reboot does.
func endSupervisors(t *testing.T, s *fleettest.Shop, id string) {
	t.Helper()
	ended := 0
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range lines {
		line, _ := os.ReadFile(file) // it may be gone
		args := strings.Split(string(line), "\x00")
		if len(args) < 3 || args[1] != process.SuperviseCommand || !strings.HasPrefix(args[2], filepath.Join(s.Dir, id)+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
			t.Errorf("supervisor %s not killed: %v", file, err)
		}
		s.Await("the supervisor is gone", func() bool { return !process.Watched(args[2]) }) // it dies slowly on a busy host
		ended++
	}
	if ended == 0 {
		t.Error("no hook is supervised")
	}
}

// forthAndBack deploys v1, and then, under load, v2, and rolls back.
func forthAndBack(t *testing.T, s *fleettest.Shop) {
	t.Helper()
	s.Commit("v1")
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	s.Commit("v2")

	load := fleettest.StartLoad(t, s.Front.URL)
	s.Must(0, "deploy", "shop", "production", "--ref", "v2", "--yes")
	wantAll(t, s, "v2")
	s.Must(0, "rollback", "shop", "production", "--yes")
	wantAll(t, s, "v1")
	if answers := load.Stop(); answers["v1"] == 0 || answers["v2"] == 0 || len(answers) != 2 {
		t.Errorf("the answers were %v", answers)
	}
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
		event  string
		dead   func(hook fleettest.Gate) // what happens on the host while the minion is dead
		reboot bool
	}{
		{"ApplicationStop", func(fleettest.Gate) { endSupervisors(t, s, "web2") }, true},
		{"ApplicationStop", func(hook fleettest.Gate) { // the hook goes on
			hook.Open()
			s.Await("web2 serves nothing", func() bool { return s.Serves("web2") != "v1" })
		}, false},
		{"ApplicationStart", func(hook fleettest.Gate) { // the hook goes on, and the new service runs in the old one's place
			hook.Open()
			s.Await("web2 serves v2", func() bool { return s.Serves("web2") == "v2" })
		}, false},
		{"ValidateService", func(fleettest.Gate) {}, false},
		{"ValidateService", func(fleettest.Gate) { endSupervisors(t, s, "web2") }, true},
	} {
		hook := s.Gate("web2-" + tc.event)
		deploy := s.StartDeploy("v2")
		s.Await("web2 is in "+tc.event, hook.Reached)
		s.Kill("web2")
		tc.dead(hook)
		s.StartMinion("web2") // its hook is still waiting, unless it went on
		if tc.reboot {
			if r := deploy.Must(4); !regexp.MustCompile(`web2 +reverted .* interrupted: the minion died`).MatchString(r.Stdout) {
				t.Errorf("killed in %s, this was told:\n%s", tc.event, r.Stdout)
			}
			hook.Open()
		} else {
			hook.Open()
			deploy.Must(0)
			s.Await("all deployments have ended", s.Quiet)
			wantAll(t, s, "v2")
			s.Must(0, "rollback", "shop", "production", "--yes")
		}
		s.Await("all deployments have ended", s.Quiet)
		wantAll(t, s, "v1")
	}

	// Killed before its job, it gets the job when it is back; its own wish for the highstate comes second.
	stop := slowRequests(t, s.Front.URL)
	deploy := s.StartDeploy("v2")
	s.Await("web2 drains", func() bool { return s.Phase("web2") == fleet.Draining })
	s.Kill("web2")
	s.StartMinion("web2")
	deploy.Must(0)
	stop()
	s.Await("all deployments have ended", s.Quiet)
	wantAll(t, s, "v2")

	// Started anew all at once, as by an upgrade, they serve on: what is due is live, and nobody is taken out.
	before := s.Newest()
	for _, id := range s.Minions {
		s.Kill(id)
	}
	for _, id := range s.Minions {
		s.StartMinion(id)
		s.Await(id+" is looked at", func() bool { return s.LogSays(id, "[shop/production]") })
	}
	s.Await("all deployments have ended", s.Quiet)
	var all []fleet.Deployment
	if err := s.API(t.Context(), "/v1/deployments?limit=1", &all); err != nil || all[0].ID != before.ID {
		t.Errorf("%v, and a minion was deployed to for its start alone: %v", err, all)
	}
	load.Stop()
}

// slowRequests keeps some requests open on every server, which take a second each to end, until stop is called.
func slowRequests(t *testing.T, url string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var users sync.WaitGroup
	for range 9 {
		users.Go(func() {
			for ctx.Err() == nil {
				if _, err := fleettest.Get(t.Context(), http.DefaultClient, url+"/slow"); err != nil {
					t.Errorf("slow request: %v", err)
				}
			}
		})
	}
	return func() {
		cancel()
		users.Wait()
	}
}
