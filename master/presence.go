package master

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// presence knows which minions are connected. A minion is ready once its hello has been answered: jobs published before
// that reach it by the answer.
type presence struct {
	started time.Time

	mu       sync.Mutex
	conns    map[fleet.MinionID]link // guarded by mu
	gone     map[fleet.MinionID]time.Time
	awaiting map[fleet.MinionID]bool // connected when the master before this one ended, and not back yet
}

// reunion is how long a restarted master waits for its minions: they pause for as long as that between two tries.
const reunion = 45 * time.Second

type link struct {
	number uint64 // of the connection: a later one has a higher number
	since  time.Time
	ready  bool
	vitals fleet.Vitals
}

func newPresence(known []fleet.Minion, now time.Time) *presence {
	p := &presence{
		started: now, conns: map[fleet.MinionID]link{}, gone: map[fleet.MinionID]time.Time{}, awaiting: map[fleet.MinionID]bool{},
	}
	for _, m := range known {
		p.gone[m.ID] = m.Since
		if m.Connected { // it was, when the master before this one ended
			p.gone[m.ID] = m.LastSeen
			p.awaiting[m.ID] = true
		}
	}
	return p
}

func (p *presence) connected(id fleet.MinionID, number uint64, from string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[id].number < number {
		p.conns[id] = link{number: number, since: now, vitals: fleet.Vitals{Address: from}}
	}
}

// disconnected reports whether the minion is gone now: the end of a connection that a newer one replaced is nothing.
func (p *presence) disconnected(id fleet.MinionID, number uint64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[id].number != number {
		return false
	}
	delete(p.conns, id)
	p.gone[id] = now
	return true
}

func (p *presence) setReady(id fleet.MinionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.conns[id]; ok {
		l.ready = true
		p.conns[id] = l
		delete(p.awaiting, id)
	}
}

// awaited reports whether a minion was connected before the master was restarted and may yet come back.
func (p *presence) awaited(id fleet.MinionID, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.awaiting[id] && now.Before(p.started.Add(reunion))
}

// missing lists the minions that have not come back.
func (p *presence) missing() []fleet.MinionID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.awaiting))
}

// goneSince says since when this master misses a minion; zero while it is connected. The time that the master itself was
// away does not count.
func (p *presence) goneSince(id fleet.MinionID) time.Time {
	connected, since := p.state(id)
	switch {
	case connected:
		return time.Time{}
	case since.Before(p.started):
		return p.started
	default:
		return since
	}
}

func (p *presence) isReady(id fleet.MinionID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[id].ready
}

// state says whether a minion is connected, and since when it is or is not; zero: never seen.
func (p *presence) state(id fleet.MinionID) (connected bool, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.conns[id]; ok {
		return true, l.since
	}
	return false, p.gone[id]
}

func (p *presence) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}
