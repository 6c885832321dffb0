package master

import (
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// wrongClock is how far a minion's clock may be off before a person is told.
const wrongClock = 5 * time.Second

// probe answers a minion that measures the way, and notes what it has found.
func (d *dispatcher) probe(minion fleet.MinionID, m wire.Probe) error {
	err := d.send(string(minion), wire.Echo{N: m.N, Now: time.Now().UnixNano()})
	found := fleet.Vitals{
		RoundTrip: milliseconds(m.RoundTrip), ClockSkew: milliseconds(m.Skew), Spooled: m.Spooled, Dropped: m.Dropped,
	}
	before, ok := d.presence.measured(minion, found)
	if !ok {
		return err
	}
	if m.Skew.Abs() > wrongClock && (time.Duration(before.ClockSkew)*time.Millisecond).Abs() <= wrongClock {
		d.log.Warn("the minion's clock differs from the master's", "minion", minion, "ahead", m.Skew.Round(time.Millisecond))
	}
	if m.Dropped > before.Dropped {
		d.log.Warn("the minion's spool was full: progress of its jobs is lost, their outcomes are not", "minion", minion, "dropped", m.Dropped, "spooled", m.Spooled)
	}
	return err
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// measured notes what a connected minion has found, and gives what was known before.
func (p *presence) measured(id fleet.MinionID, found fleet.Vitals) (before fleet.Vitals, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.conns[id]
	if !ok {
		return before, false
	}
	before, found.Address = l.vitals, l.vitals.Address
	l.vitals = found
	p.conns[id] = l
	return before, true
}

// vitals gives what is known of a connected minion, nil for one that is away.
func (p *presence) vitals(id fleet.MinionID) *fleet.Vitals {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.conns[id]
	if !ok {
		return nil
	}
	return &l.vitals
}

// spooled counts the returns that wait on connected minions, as far as they have said.
func (p *presence) spooled() (waiting int, dropped uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.conns {
		waiting, dropped = waiting+l.vitals.Spooled, dropped+l.vitals.Dropped
	}
	return waiting, dropped
}
