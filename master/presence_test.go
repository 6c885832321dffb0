package master

import (
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestARestartedMasterWaitsForItsMinionsAndMissesNobodyForItsOwnAbsence(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	before := start.Add(-time.Hour)
	p := newPresence([]fleet.Minion{{ID: "here", Connected: true, LastSeen: before}, {ID: "away", Since: before}}, start)
	soon, late := start.Add(time.Second), start.Add(reunion)
	if !p.awaited("here", soon) || p.awaited("here", late) || p.awaited("away", soon) || p.awaited("new", soon) {
		t.Errorf("awaited: %v", p.missing())
	}
	for _, id := range []fleet.MinionID{"here", "away"} {
		if since := p.goneSince(id); !since.Equal(start) {
			t.Errorf("%s is missed since %s", id, since)
		}
	}
	p.connected("here", 1, "192.0.2.1:1", soon)
	if !p.awaited("here", soon) {
		t.Error("a minion that has not said hello yet is back")
	}
	p.setReady("here")
	if p.awaited("here", soon) || !p.goneSince("here").IsZero() {
		t.Error("a minion that is back is missed")
	}
	p.disconnected("here", 1, late)
	if since := p.goneSince("here"); !since.Equal(late) || p.awaited("here", late) {
		t.Errorf("a minion that went away again is missed since %s", since)
	}
}
