package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
)

// pool is a set of members. All that is decided about a member is decided under mu, so that no request is given to one
// that is being drained.
type pool struct {
	name   string
	config PoolConfig
	log    *slog.Logger
	wake   chan struct{} // tells the health loop that there is something to check

	mu      sync.Mutex
	members map[string]*member
	turn    uint64        // counts picks, so that equally busy members take turns
	changed chan struct{} // closed and replaced when a member's status changes or its last request ends
	address string        // where it listens; empty before that
}

// member is one server of a pool. A member that comes back after a drain is another one.
//
//	checking -> up <-> down
//	    \--------\------\-> draining -> (forgotten)
type member struct {
	balancer.Member
	transport *http.Transport

	// Guarded by the pool's mu:
	status   balancer.Status
	open     map[*exchange]struct{}
	turn     uint64 // of its last pick
	streak   int    // checks in a row that contradict the status
	last     string // what the last check saw; empty before the first
	due      time.Time
	checking bool // a check is under way
}

func newPool(name string, c PoolConfig, log *slog.Logger) *pool {
	return &pool{
		name: name, config: c, log: log,
		wake:    make(chan struct{}, 1),
		members: map[string]*member{},
		changed: make(chan struct{}),
	}
}

func newMember(m balancer.Member, status balancer.Status) *member {
	return &member{Member: m, status: status, transport: newTransport(), open: map[*exchange]struct{}{}}
}

// notify lets all who wait look again. The caller holds mu.
func (p *pool) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// enter makes m a member, to be checked at once, unless it is one already.
func (p *pool) enter(m balancer.Member) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.members[m.Name]
	if old != nil && old.Address == m.Address && old.status != balancer.Draining {
		return old
	}
	fresh := newMember(m, balancer.Checking)
	p.members[m.Name] = fresh
	if old != nil && old.status != balancer.Draining {
		p.retire(old) // its requests end by themselves
	}
	p.notify()
	p.nudge()
	return fresh
}

// awaitHealthy returns when m is up and a check has said so. When ctx is done before that, m is out.
func (p *pool) awaitHealthy(ctx context.Context, m *member) error {
	for {
		p.mu.Lock()
		status, last, changed := m.status, m.last, p.changed
		p.mu.Unlock()
		switch {
		case status == balancer.Up && last != "":
			return nil
		case status == balancer.Draining || status == balancer.Out:
			return errors.New("it was taken out meanwhile")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			p.forget(m)
			if last == "" {
				last = "none yet"
			}
			return fmt.Errorf("not healthy in time: last check: %s: %w", last, ctx.Err())
		}
	}
}

// leave lets nothing new go to the member called name, and returns it, or nil when there is none.
func (p *pool) leave(name string) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[name]
	if m != nil && m.status != balancer.Draining {
		p.retire(m)
		p.notify()
	}
	return m
}

// retire needs mu.
func (p *pool) retire(m *member) {
	m.status = balancer.Draining
	m.transport.CloseIdleConnections()
}

// awaitIdle returns when m has no request open, and has forgotten it. When ctx's deadline passes it cuts them off.
func (p *pool) awaitIdle(ctx context.Context, m *member) error {
	for {
		p.mu.Lock()
		open, changed := len(m.open), p.changed
		p.mu.Unlock()
		if open == 0 {
			p.forget(m)
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ctx.Err()
			}
			p.cut(m, errCutOff)
			p.forget(m)
			return nil
		}
	}
}

// forget takes m out of the pool. Requests that are open on it go on.
func (p *pool) forget(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.status = balancer.Out
	m.transport.CloseIdleConnections()
	if p.members[m.Name] == m {
		delete(p.members, m.Name)
	}
	p.notify()
}

// cut ends all requests of m.
func (p *pool) cut(m *member, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := range m.open {
		e.cancel(why)
	}
}

// pick chooses the member with the fewest open requests among those that are up and not in tried, and counts e for it.
// It returns nil when there is none.
func (p *pool) pick(e *exchange, tried []*member) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *member
	for _, m := range p.members {
		if m.status != balancer.Up || slices.Contains(tried, m) {
			continue
		}
		if best == nil || len(m.open) < len(best.open) || len(m.open) == len(best.open) && m.turn < best.turn {
			best = m
		}
	}
	if best != nil {
		p.turn++
		best.turn = p.turn
		best.open[e] = struct{}{}
	}
	return best
}

// done ends what pick began.
func (p *pool) done(e *exchange, m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(m.open, e)
	if len(m.open) > 0 {
		return
	}
	if m.status == balancer.Draining || m.status == balancer.Out {
		m.transport.CloseIdleConnections()
		p.notify()
	}
}
