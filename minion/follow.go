package minion

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/brine-deploy/brine/minion/grains"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// told is what the master knows of this minion's grains.
type told struct {
	mu  sync.Mutex
	sum [sha256.Size]byte // guarded by mu
}

// set notes what was told, and reports whether that is new.
func (t *told) set(facts fleet.Grains) bool {
	text, err := json.Marshal(facts)
	sum := sha256.Sum256(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := err == nil && sum != t.sum
	t.sum = sum
	return changed
}

// forget lets the same grains be told again.
func (t *told) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum = [sha256.Size]byte{}
}

// tellGrains tells the master what has changed.
func (m *Minion) tellGrains(ctx context.Context) error {
	facts := m.facts(ctx)
	if !m.told.set(facts) {
		return nil
	}
	_, err := m.asker.ask(ctx, wire.RequestGrains, map[string]any{"grains": facts, "tags": m.tags(facts)})
	if err != nil {
		m.told.forget()
	}
	return err
}

// followGrains looks for new facts every now and then, until ctx is done.
func (m *Minion) followGrains(ctx context.Context) {
	every := m.cfg.RefreshGrains()
	if every <= 0 {
		return
	}
	for pause(ctx, every-every/10+rand.N(every/5+1)) == nil { //nolint:gosec // only to spread the fleet
		ask, cancel := context.WithTimeout(ctx, every)
		if err := m.tellGrains(ask); err != nil && ctx.Err() == nil {
			m.log.DebugContext(ctx, "grains not told", "error", err)
		}
		cancel()
	}
}

// tags are those of the cloud and those that are configured, which win.
func (m *Minion) tags(facts fleet.Grains) fleet.Tags {
	all := grains.Tags(facts)
	maps.Copy(all, m.cfg.Tags)
	return all
}

// tellSoon bounds how long a job that changes grains waits for the master to know.
const tellSoon = 10 * time.Second
