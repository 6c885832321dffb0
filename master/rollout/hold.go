package rollout

import (
	"context"
	"slices"
	"sync"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// holds keeps deployments off each other's minions: a group's and those of its newcomers run at the same time, and what
// one of them has let into the pool the other must not stop. The zero value is ready.
type holds struct {
	mu   sync.Mutex
	held map[string]chan struct{} // guarded by mu; closed when the minion is free again
}

// Hold waits until no deployment works on any of the minions in this group, and keeps others off them until release. Who
// holds minions already must not ask for more. The error is ctx's.
func (r *Rollout) Hold(ctx context.Context, app fleet.AppName, group fleet.GroupName, minions ...fleet.MinionID) (release func(), err error) {
	var taken []func()
	release = func() {
		for _, free := range taken {
			free()
		}
	}
	for _, id := range slices.Sorted(slices.Values(minions)) { // all in one order, so that nobody waits in a circle
		free, err := r.holds.take(ctx, string(app)+"/"+string(group)+"/"+string(id))
		if err != nil {
			release()
			return nil, err
		}
		taken = append(taken, free)
	}
	return release, nil
}

func (h *holds) take(ctx context.Context, key string) (free func(), err error) {
	for {
		h.mu.Lock()
		other, busy := h.held[key]
		if !busy {
			mine := make(chan struct{})
			if h.held == nil {
				h.held = map[string]chan struct{}{}
			}
			h.held[key] = mine
			h.mu.Unlock()
			return func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				delete(h.held, key)
				close(mine)
			}, nil
		}
		h.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
