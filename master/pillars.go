package master

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	pillarFresh   = time.Minute      // how old a pillar may be that a target looks at
	pillarsAtOnce = 4                // that are compiled for one target
	pillarsTime   = 30 * time.Second // for all of them
)

// pillars keeps the pillars of minions for targets that look at them. What cannot be compiled matches nothing.
type pillars struct {
	compile func(context.Context, fleet.Minion) (*data.Map, error)

	mu    sync.Mutex
	known map[fleet.MinionID]compiled // guarded by mu
}

type compiled struct {
	at     time.Time
	pillar map[string]any
}

// of gives the pillars of minions.
func (p *pillars) of(minions []fleet.Minion) map[fleet.MinionID]map[string]any {
	ctx, cancel := context.WithTimeout(context.Background(), pillarsTime)
	defer cancel()
	g := errgroup.Group{}
	g.SetLimit(pillarsAtOnce)
	var mu sync.Mutex
	all := make(map[fleet.MinionID]map[string]any, len(minions))
	for _, m := range minions {
		g.Go(func() error {
			one := p.one(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			all[m.ID] = one
			return nil
		})
	}
	_ = g.Wait() // there are no errors
	return all
}

func (p *pillars) one(ctx context.Context, m fleet.Minion) map[string]any {
	now := time.Now()
	p.mu.Lock()
	have, ok := p.known[m.ID]
	p.mu.Unlock()
	if ok && now.Sub(have.at) < pillarFresh {
		return have.pillar
	}
	own, err := p.compile(ctx, m)
	if err != nil {
		return nil // brine pillar and the log say why
	}
	plain, _ := data.Plain(own).(map[string]any)
	p.note(m.ID, plain, now)
	return plain
}

// note keeps a pillar as it was just compiled.
func (p *pillars) note(id fleet.MinionID, pillar map[string]any, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[fleet.MinionID]compiled{}
	}
	p.known[id] = compiled{now, pillar}
}

// forget lets a minion's pillar be compiled anew: its grains have changed.
func (p *pillars) forget(id fleet.MinionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, id)
}
