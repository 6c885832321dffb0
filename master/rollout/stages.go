package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// look is how often a pause, and a rollout that is held up, looks at the world again.
const look = time.Second

// Plan is what a deployment is to do, and where it pauses.
func Plan(group fleet.Group, d *fleet.Deployment, candidates []Candidate, now time.Time) ([]fleet.PlanMinion, []*fleet.Pause, error) {
	planned, pauses, err := Batches(orderOf(group, d, now), candidates)
	return planned, append(pauses, sidePauses(d.Strategy.BlueGreen, planned)...), err
}

// orderOf is what a deployment asks of its plan.
func orderOf(group fleet.Group, d *fleet.Deployment, now time.Time) Order {
	group.Strategy = d.Strategy
	// A side may be at the revision already: it is to be switched to all the same, and its minions have nothing to do.
	o := Order{Group: group, Force: d.Force || d.Strategy.BlueGreen != nil, Only: d.Only, Now: now}
	if d.Revision != nil {
		o.Revision = d.Revision.Digest
	}
	return o
}

// Sick marks the candidates that the group's balancer finds down. A balancer that does not answer marks nobody.
func (r *Rollout) Sick(ctx context.Context, group fleet.Group, candidates []Candidate) []Candidate {
	pool := group.Balancer
	if pool == nil || r.Balancers[pool.Use] == nil {
		return candidates
	}
	members, err := r.Balancers[pool.Use].Members(ctx, pool.Pool)
	if err != nil {
		return candidates
	}
	for i, c := range candidates {
		member, err := MemberOf(*pool, c.Minion)
		candidates[i].Sick = err == nil && members[member.Name] == balancer.Down
	}
	return candidates
}

// part is a run of batches and the pause after it.
type part struct {
	batches [][]*fleet.MinionProgress
	pause   *fleet.Pause
}

// parts cuts a deployment's batches where it pauses. Those that are done already stay in: the steps pass over them.
func parts(d *fleet.Deployment) []part {
	all := batches(d)
	var out []part
	from := 0
	for _, p := range d.Pauses {
		if p.Stage == keptStage {
			break
		}
		to := min(p.After+1, len(all))
		out = append(out, part{all[from:to], p})
		from = to
	}
	return append(out, part{batches: all[from:]})
}

// batches groups the minions of the plan that are not skipped, in order.
func batches(d *fleet.Deployment) [][]*fleet.MinionProgress {
	byNumber := map[int][]*fleet.MinionProgress{}
	last := -1
	for _, m := range d.Minions {
		if m.Phase != fleet.Skipped {
			byNumber[m.Batch] = append(byNumber[m.Batch], m)
			last = max(last, m.Batch)
		}
	}
	out := make([][]*fleet.MinionProgress, last+1)
	for i := range out {
		out[i] = byNumber[i]
	}
	return out
}

// sidePauses are those before and after a blue/green switch.
func sidePauses(bg *fleet.BlueGreen, planned []fleet.PlanMinion) (out []*fleet.Pause) {
	last := -1
	for _, p := range planned {
		last = max(last, p.Batch)
	}
	if bg != nil && bg.Approve && last >= 0 {
		out = append(out, &fleet.Pause{After: last, Stage: "the side that does not serve yet", Approve: true, Within: bg.Within})
	}
	if bg != nil && bg.Keep > 0 && last >= 0 {
		out = append(out, &fleet.Pause{After: last, Stage: keptStage, Bake: bg.Keep})
	}
	return out
}

// width is how many batches are under way at once.
func (s *steps) width() int {
	if !s.d.Strategy.Window {
		return 1
	}
	return s.d.Strategy.Batch.AtOnce(len(s.d.Minions))
}

// turnBack plans the way back: who failed serves nothing and is mended first, all at once; the others keep their order.
func (s *steps) turnBack(touched []*fleet.MinionProgress) {
	width, next := s.width(), 0
	for _, m := range touched {
		switch {
		case m.Phase == fleet.MinionFailed:
			m.Batch = 0
		case s.d.Strategy.Window: // its batches are one minion each
			m.Batch = 1 + next/width
			next++
		default:
			m.Batch++
		}
		m.Phase, m.Decision, m.Attempt = fleet.Waiting, nil, 0
	}
}

func (s *steps) begin(batch []*fleet.MinionProgress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flying == nil {
		s.flying = map[fleet.MinionID]bool{}
	}
	for _, m := range batch {
		s.flying[m.Minion] = true
	}
}

func (s *steps) done(batch []*fleet.MinionProgress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range batch {
		delete(s.flying, m.Minion)
	}
}

// busy lists who serves nothing because of this deployment, and whether batches are under way that will end.
func (s *steps) busy() (who map[fleet.MinionID]bool, moving bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who = maps.Clone(s.flying)
	if who == nil {
		who = map[fleet.MinionID]bool{}
	}
	moving = len(who) > 0
	for _, m := range s.d.Minions {
		switch m.Phase {
		case fleet.Draining, fleet.Installing, fleet.Activating, fleet.MinionFailed:
			who[m.Minion] = true
		}
	}
	return who, moving
}

// mayBegin decides on the next batch: it waits while that helps, and refuses when the rollout must not go on.
func (s *steps) mayBegin(ctx context.Context, batch []*fleet.MinionProgress) error {
	waiting := map[fleet.MinionID]bool{}
	for _, m := range batch {
		if m.Phase == fleet.Waiting {
			waiting[m.Minion] = true
		}
	}
	if len(waiting) == 0 {
		return nil // it began before the master was restarted, or is done
	}
	told := ""
	for {
		changed := s.Ledger.Changed()
		held, err := s.against(ctx, waiting)
		if err != nil || held == "" {
			return err
		}
		if held != told {
			told = held
			s.note(ctx, "held up: "+held)
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

// against says what speaks against the next batch: an error when it is for good, words when it may pass.
func (s *steps) against(ctx context.Context, batch map[fleet.MinionID]bool) (held string, err error) {
	if err := s.stopped(); err != nil {
		return "", err
	}
	if err := s.enough(); err != nil {
		return "", err
	}
	switch v := s.judgeAlarms(); v.Decision {
	case Fail:
		return "", refused(errors.New(v.Reason))
	case Wait:
		return v.Reason, nil
	}
	if held, err := s.awaitsDecision(); held != "" || err != nil {
		return held, err
	}
	if !s.d.Strategy.HasMinimum() {
		return "", nil
	}
	candidates, err := s.Fleet.Candidates(ctx, s.d.App, s.group, s.d.Group)
	if err != nil {
		return "", err
	}
	busy, moving := s.busy()
	why := MayTakeOut(s.d.Strategy, candidates, busy, batch)
	if why != "" && !moving {
		return "", refused(fmt.Errorf("%s: the next batch would leave fewer", why))
	}
	if why == "" || !moving {
		return "", nil
	}
	return why, nil
}

// awaitsDecision says that another batch of a rolling window waits for a person.
func (s *steps) awaitsDecision() (held string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.d.Strategy.OnFailure != fleet.Ask {
		return "", nil
	}
	for _, m := range s.undecided(s.d.Minions) {
		v := JudgeFailure(s.d.Strategy, *m, time.Now())
		if v.Decision == Fail {
			return "", refused(errors.New(v.Reason))
		}
		held = v.Reason
	}
	return held, nil
}

// fitting cuts a batch of the way back to what may be out of service at once: the minions that failed for good on the way
// forward, and do not come back, leave room for fewer.
func (s *steps) fitting(ctx context.Context, batch []*fleet.MinionProgress) ([]*fleet.MinionProgress, error) {
	candidates, err := s.Fleet.Candidates(ctx, s.d.App, s.group, s.d.Group)
	if err != nil {
		return nil, err
	}
	busy, _ := s.busy()
	taken, why := map[fleet.MinionID]bool{}, ""
	for n, m := range batch {
		if m.Phase != fleet.Waiting {
			continue // under way before the master was restarted, or done
		}
		taken[m.Minion] = true
		if why = MayTakeOut(s.d.Strategy, candidates, busy, taken); why != "" {
			batch = batch[:n]
			break
		}
	}
	if len(batch) == 0 {
		return nil, refused(errors.New(why))
	}
	return batch, nil
}

// enough refuses to go on when more minions have failed than may.
func (s *steps) enough() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.d.Strategy.OnFailure == fleet.Ask {
		return nil // each was decided about
	}
	if v := JudgeRollout(s.d.Strategy, len(s.in(fleet.MinionFailed))); v.Decision == Fail {
		return refused(errors.New(v.Reason))
	}
	return nil
}

// pause waits until what the canary, or a zone, is watched for has come true.
func (s *steps) pause(ctx context.Context, p *fleet.Pause) error {
	if p == nil || p.Done {
		return nil
	}
	told := ""
	for {
		changed := s.Ledger.Changed()
		v, err := s.judgePause(ctx, p)
		switch {
		case err != nil:
			return err
		case v.Decision == Fail:
			return refused(errors.New(v.Reason))
		case v.Decision == Pass:
			return s.endPause(ctx, p, v.Reason)
		case v.Reason != told:
			told = v.Reason
			s.note(ctx, v.Reason)
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

func (s *steps) judgePause(ctx context.Context, p *fleet.Pause) (Verdict, error) {
	if err := s.stopped(); err != nil {
		return Verdict{}, err
	}
	if v := s.judgeAlarms(); v.Decision != Pass {
		return v, nil
	}
	if id := s.fallen(ctx); id != "" {
		return Verdict{Fail, fmt.Sprintf("%s: %s was let into its pool and is down there now", p.Stage, id)}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Since.IsZero() {
		p.Since = time.Now()
		if err := s.saveLocked(ctx, nil); err != nil {
			p.Since = time.Time{}
			return Verdict{}, err
		}
	}
	return JudgePause(*p, time.Now()), nil
}

func (s *steps) endPause(ctx context.Context, p *fleet.Pause, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Done = true
	return s.saveLocked(ctx, nil, s.record(fleet.Record{Kind: fleet.DeploymentNote, Message: why}))
}

// fallen names a minion that this deployment let in and that its balancer finds down.
func (s *steps) fallen(ctx context.Context) fleet.MinionID {
	candidates, err := s.Fleet.Candidates(ctx, s.d.App, s.group, s.d.Group)
	if err != nil {
		return ""
	}
	sick := s.Sick(ctx, s.group, candidates)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.in(fleet.Active) {
		if slices.ContainsFunc(sick, func(c Candidate) bool { return c.Minion.ID == m.Minion && c.Sick }) {
			return m.Minion
		}
	}
	return ""
}

// wait passes time until something has changed.
func (s *steps) wait(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTimer(look)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func refused(reason error) error { return refusal{reason: reason} }
