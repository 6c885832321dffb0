package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// noticed is how long a silence may last: three heartbeats of a second each after the last that got through, which may be
// a second late, and as much again for a busy machine.
const noticed = 8 * time.Second

// TestASilentNetworkIsNoticedAndLosesNothing drops packets without a word: what only one side gets is a connection that
// is half open.
func TestASilentNetworkIsNoticedAndLosesNothing(t *testing.T) {
	t.Parallel()
	cable := fleettest.StartCable(t)
	const master, minion = 0, 1
	bus := cable.Ends[master].Address + ":4510"
	s := fleettest.StartShop(t, fleettest.ShopConfig{
		Bin: bin, Minions: 1, Env: []string{"BRINE_BUS_LISTEN=" + bus, "BRINE_MASTER=" + bus, "BRINE_BUS_HEARTBEAT=1s"},
		Netns: map[string]string{"master": cable.Ends[master].Netns, "web1": cable.Ends[minion].Netns},
	})
	var jobs []part
	for _, tc := range []struct {
		name   string
		silent []int // ends
	}{
		{"the master hears nothing", []int{master}},
		{"the minion hears nothing", []int{minion}},
		{"nobody hears anything", []int{master, minion}},
	} {
		lost := lostConnections(s)
		start := time.Now()
		for _, end := range tc.silent {
			cable.Silence(end)
		}
		unnoticed := publish(t, s)
		s.Await("the minion notices that "+tc.name, func() bool { return lostConnections(s) > lost })
		minionTook := time.Since(start)
		s.Await("the master notices that "+tc.name, func() bool { return !connected(s) })
		masterTook := time.Since(start)
		if max(minionTook, masterTook) > noticed {
			t.Errorf("%s: the minion noticed after %v, the master after %v", tc.name, minionTook, masterTook)
		}
		if out := s.Must(0, "minions").Stdout; !strings.Contains(out, "away") {
			t.Errorf("%s, and this is shown:\n%s", tc.name, out)
		}
		kept := publish(t, s)

		start = time.Now()
		cable.Heal()
		s.Await("web1 is back", func() bool { return connected(s) })
		t.Logf("%s: the minion noticed after %v, the master after %v; back %v after it was healed", tc.name, minionTook, masterTook, time.Since(start))
		jobs = append(jobs, unnoticed, kept)
		wantReturnsOnce(t, s, jobs)
	}
	if ran, err := os.ReadFile(ranFile(s)); err != nil || strings.Count(string(ran), "\n") != len(jobs) {
		t.Errorf("%d jobs left %q, %v", len(jobs), ran, err)
	}
}

// ranFile gets a line of each job that runs.
func ranFile(s *fleettest.Shop) string { return filepath.Join(s.Dir, "ran") }

// publish publishes a job and does not wait.
func publish(t *testing.T, s *fleettest.Shop) part {
	t.Helper()
	var ticket fleet.RunTicket
	command := "echo ran >> " + ranFile(s)
	if err := s.BrineJSON(t.Context(), &ticket, "run", "web1", "cmd.run", command, "--async", "--timeout", "2m"); err != nil {
		t.Fatal(err)
	}
	return part{ticket.Job, "web1"}
}

// lostConnections counts what the minion has told of its connections' ends.
func lostConnections(s *fleettest.Shop) int {
	log, err := os.ReadFile(filepath.Join(s.Dir, "web1.log"))
	if err != nil {
		return 0
	}
	return strings.Count(string(log), `msg="not connected to the master"`)
}
