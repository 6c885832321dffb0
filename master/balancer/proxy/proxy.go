// Package proxy is a load balancer inside the master: an HTTP/1.1 reverse proxy with health checks, for trying out and
// for small sites. WebSockets and other upgrades pass. A request goes to the member with the fewest open ones; when it
// could not be sent, or changes nothing and got no answer, it is tried on another member. Its pools serve as long as
// the master runs; a state file lets them serve again as soon as it is back.
package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/brine-deploy/brine/master/balancer"
)

// Proxy is one embedded load balancer. Make it with New; it listens and checks its members while Serve runs.
type Proxy struct {
	log   *slog.Logger
	pools map[string]*pool

	saving sync.Mutex
	file   string // set before anything else is called
}

var (
	_ balancer.Balancer    = (*Proxy)(nil)
	_ balancer.Server      = (*Proxy)(nil)
	_ balancer.StateKeeper = (*Proxy)(nil)
)

// KeepState implements balancer.StateKeeper.
func (p *Proxy) KeepState(file string) error {
	if p.file != "" {
		return nil
	}
	return p.open(file)
}

// Address is where a pool listens now; empty when it does not.
func (p *Proxy) Address(pool string) string {
	q := p.pools[pool]
	if q == nil {
		return ""
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.address
}

// Drain implements balancer.Balancer. A member that was drained is forgotten.
func (p *Proxy) Drain(ctx context.Context, pool string, m balancer.Member) error {
	q, err := p.pool(pool)
	if err != nil {
		return fmt.Errorf("drain %s: %w", m.Name, err)
	}
	leaving := q.leave(m.Name)
	if leaving == nil {
		return nil
	}
	saved := p.save()
	if err := q.awaitIdle(ctx, leaving); err != nil {
		return fmt.Errorf("drain %s in %s: %w", m.Name, pool, err)
	}
	return saved
}

// Activate implements balancer.Balancer.
func (p *Proxy) Activate(ctx context.Context, pool string, m balancer.Member) error {
	q, err := p.pool(pool)
	if err != nil {
		return fmt.Errorf("activate %s: %w", m.Name, err)
	}
	if err := balancer.CheckMember(pool, m); err != nil {
		return err
	}
	if err := q.awaitHealthy(ctx, q.enter(m)); err != nil {
		p.saveLater()
		return fmt.Errorf("activate %s in %s: %w", m.Name, pool, err)
	}
	return p.save()
}

// Members implements balancer.Balancer.
func (p *Proxy) Members(_ context.Context, pool string) (map[string]balancer.Status, error) {
	q, err := p.pool(pool)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	members := make(map[string]balancer.Status, len(q.members))
	for name, m := range q.members {
		members[name] = m.status
	}
	return members, nil
}

func (p *Proxy) pool(name string) (*pool, error) {
	if q := p.pools[name]; q != nil {
		return q, nil
	}
	return nil, balancer.UnknownPool(name, slices.Collect(maps.Keys(p.pools)))
}
