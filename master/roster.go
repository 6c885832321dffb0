package master

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/wire"
)

// roster is all accepted minions, connected or not, with what is known of them. The journal has it too; this copy
// answers targets without asking it.
type roster struct {
	journal  *journal.Journal
	presence *presence
	log      *slog.Logger

	nodegroups target.Nodegroups
	pillars    pillars // for targets that look at them

	mu      sync.Mutex
	minions map[fleet.MinionID]fleet.Minion // guarded by mu
}

// load reads the accepted minions out of the journal.
func (r *roster) load(ctx context.Context) error {
	known, err := r.journal.Minions(ctx)
	if err != nil {
		return fmt.Errorf("read minions: %w", err)
	}
	keys, err := r.journal.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	minions := map[fleet.MinionID]fleet.Minion{}
	for _, k := range keys {
		if k.State == fleet.KeyAccepted {
			minions[k.ID] = fleet.Minion{ID: k.ID}
		}
	}
	for _, m := range known {
		if _, accepted := minions[m.ID]; accepted {
			minions[m.ID] = m
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.minions = minions
	r.presence = newPresence(known, time.Now())
	return nil
}

// keyChanged keeps the roster to the accepted keys.
func (r *roster) keyChanged(k fleet.MinionKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k.State != fleet.KeyAccepted {
		delete(r.minions, k.ID)
	} else if _, known := r.minions[k.ID]; !known {
		r.minions[k.ID] = fleet.Minion{ID: k.ID}
	}
}

// update notes what a minion's hello says.
func (r *roster) update(id fleet.MinionID, hello wire.Hello) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.minions[id]
	m.ID, m.Grains, m.Tags, m.Version, m.LastSeen = id, hello.Grains, hello.Tags, hello.Version, time.Now()
	m.Connected, m.Since = r.presence.state(id)
	r.minions[id] = m
	r.pillars.forget(id)
}

// seen notes that a minion spoke, and reports whether it may: whether its key is accepted.
func (r *roster) seen(id fleet.MinionID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.minions[id]
	if ok {
		m.LastSeen = now
		r.minions[id] = m
	}
	return ok
}

// gone keeps the time at which a minion disconnected over a restart of the master.
func (r *roster) gone(id fleet.MinionID, now time.Time) {
	r.mu.Lock()
	m, ok := r.minions[id]
	if ok {
		m.Connected, m.Since = false, now
		r.minions[id] = m
	}
	r.mu.Unlock()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.journal.SaveMinion(ctx, m); err != nil {
		r.log.Warn("disconnection not journalled", "minion", id, "error", err)
	}
}

// giveUp waits for as long as minions may take to come back after a restart of the master. Those that have not are gone,
// for the next master too.
func (r *roster) giveUp(ctx context.Context) {
	sleep(ctx, reunion)
	for _, id := range r.presence.missing() {
		if _, since := r.presence.state(id); ctx.Err() == nil {
			r.gone(id, since)
		}
	}
}

func (r *roster) setDrained(ctx context.Context, id fleet.MinionID, drained bool) error {
	if err := r.journal.SetDrained(ctx, id, drained); err != nil {
		return fmt.Errorf("set drained of %s: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, ok := r.minions[id]; ok {
		m.Drained = drained
		r.minions[id] = m
	}
	return nil
}

// setWarm notes whether a minion is of its cloud's warm pool, and reports whether it has just left it.
func (r *roster) setWarm(id fleet.MinionID, warm bool) (woke bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.minions[id]
	if !ok || m.Warm == warm {
		return false
	}
	m.Warm = warm
	r.minions[id] = m
	return !warm
}

// get gives one accepted minion as it stands now.
func (r *roster) get(id fleet.MinionID) (fleet.Minion, bool) {
	r.mu.Lock()
	m, ok := r.minions[id]
	r.mu.Unlock()
	if ok {
		m.Connected, m.Since = r.presence.state(id)
	}
	return m, ok
}

// match gives the accepted minions that an expression matches, by id.
func (r *roster) match(expr string) ([]fleet.Minion, error) {
	t, err := target.ParseWith(expr, r.nodegroups)
	if err != nil {
		return nil, err
	}
	var pillar map[fleet.MinionID]map[string]any
	if t.LooksAtPillar() {
		pillar = r.pillars.of(r.all())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []fleet.Minion
	for id, m := range r.minions {
		if t.Match(target.Subject{ID: id, Grains: m.Grains, Tags: m.Tags, Pillar: pillar[id]}) {
			m.Connected, m.Since = r.presence.state(id)
			out = append(out, m)
		}
	}
	if err := t.Err(); err != nil {
		return nil, &target.SyntaxError{Expr: expr, Column: 1, Message: err.Error()}
	}
	slices.SortFunc(out, func(a, b fleet.Minion) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

// all gives the accepted minions.
func (r *roster) all() []fleet.Minion {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.minions))
}

// candidates are the minions of a group and the revisions that are live there.
func (r *roster) candidates(ctx context.Context, app fleet.AppName, group fleet.Group, name fleet.GroupName) ([]rollout.Candidate, error) {
	minions, err := r.match(group.Target)
	if err != nil {
		return nil, fmt.Errorf("target of group %s: %w", name, err)
	}
	live, err := r.journal.Live(ctx, app, name)
	if err != nil {
		return nil, fmt.Errorf("live revisions of %s %s: %w", app, name, err)
	}
	out := make([]rollout.Candidate, len(minions))
	for i, m := range minions {
		out[i] = rollout.Candidate{Minion: m, Live: live[m.ID]}
	}
	return out, nil
}

func (r *roster) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.minions)
}
