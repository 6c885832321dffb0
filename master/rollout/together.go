package rollout

import (
	"context"
	"sync"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// together lets the goroutines of many minions write down what they come to with few commits: whoever comes while one is
// made goes into the next. The zero value is ready.
type together struct {
	mu      sync.Mutex
	waiting []*change // guarded by mu; the first one's goroutine will write them all
}

// change is what happens to one minion. Apply is called with the deployment locked, and gives the record of it.
type change struct {
	minion *fleet.MinionProgress
	apply  func() fleet.Record
	err    error
	done   chan struct{}
}

// change makes one change, durably, together with those of others.
func (s *steps) change(ctx context.Context, m *fleet.MinionProgress, apply func() fleet.Record) error {
	c := &change{minion: m, apply: apply, done: make(chan struct{})}
	if !s.together.join(c) {
		<-c.done
		return c.err
	}
	s.mu.Lock() // others join until the commit that is under way is made
	defer s.mu.Unlock()
	list := s.together.take()
	changed, records := make([]*fleet.MinionProgress, len(list)), make([]fleet.Record, len(list))
	for i, c := range list {
		changed[i], records[i] = c.minion, s.record(c.apply())
	}
	err := s.saveLocked(ctx, changed, records...)
	for _, c := range list {
		c.err = err
		close(c.done)
	}
	return err
}

// join reports whether the caller is to write for all.
func (t *together) join(c *change) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, c)
	return len(t.waiting) == 1
}

func (t *together) take() []*change {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.waiting
	t.waiting = nil
	return list
}
