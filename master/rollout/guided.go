package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// JudgeFailure decides what becomes of a rollout at a minion that failed, where a person is to be asked: it waits for the
// decision, goes on with it, or ends.
func JudgeFailure(s fleet.Strategy, m fleet.MinionProgress, now time.Time) Verdict {
	within := s.Within.Or(defaultWithin)
	until := m.Updated.Add(within)
	switch d := m.Decision; {
	case d == nil && now.Before(until):
		return Verdict{Wait, fmt.Sprintf("%s failed (%s) and waits for brine decide until %s", m.Minion, m.Reason, until.Local().Format(time.DateTime))}
	case d == nil:
		return Verdict{Fail, fmt.Sprintf("%s failed (%s), and nobody decided about it within %s", m.Minion, m.Reason, within)}
	case d.Choice == fleet.Abort:
		return Verdict{Fail, because(fmt.Sprintf("%s failed (%s): aborted by %s", m.Minion, m.Reason, d.By), d.Reason)}
	default:
		return Verdict{Pass, because(fmt.Sprintf("%s: %s, says %s", m.Minion, d.Choice, d.By), d.Reason)}
	}
}

// guided reports whether people decide about the minions that fail on this way.
func (s *steps) guided(w way) bool {
	return s.d.Strategy.OnFailure == fleet.Ask && w.done == fleet.Active
}

// settle asks about the minions of a batch that failed, until somebody has decided about each; those that are to be tried
// again are.
func (s *steps) settle(ctx context.Context, w way, batch []*fleet.MinionProgress) error {
	for s.guided(w) {
		s.mu.Lock()
		open := s.undecided(batch)
		s.mu.Unlock()
		if len(open) == 0 {
			return nil
		}
		again, err := s.ask(ctx, open[0])
		if err != nil {
			return err
		}
		if again {
			if err := s.carry(ctx, w, open[:1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask waits for the decision about a minion, and says whether it is to be tried again.
func (s *steps) ask(ctx context.Context, m *fleet.MinionProgress) (again bool, err error) {
	told := ""
	for {
		changed := s.Ledger.Changed()
		if err := s.stopped(); err != nil {
			return false, err
		}
		s.mu.Lock()
		v := JudgeFailure(s.d.Strategy, *m, time.Now())
		again = m.Decision != nil && m.Decision.Choice == fleet.Retry
		s.mu.Unlock()
		switch {
		case v.Decision == Fail:
			return false, refused(errors.New(v.Reason))
		case v.Decision == Pass && !again:
			return false, nil
		case v.Decision == Pass:
			return true, s.change(ctx, m, func() fleet.Record {
				m.Phase, m.Decision, m.Reason, m.Attempt, m.Updated = fleet.Waiting, nil, "", m.Attempt+1, time.Now()
				return minionRecord(m)
			})
		case v.Reason != told:
			told = v.Reason
			s.note(ctx, v.Reason)
		}
		if err := s.wait(ctx, changed); err != nil {
			return false, err
		}
	}
}

// undecided lists the minions that failed and that nobody has decided about for good.
func (s *steps) undecided(list []*fleet.MinionProgress) (open []*fleet.MinionProgress) {
	for _, m := range list {
		if m.Phase == fleet.MinionFailed && (m.Decision == nil || m.Decision.Choice == fleet.Retry || m.Decision.Choice == fleet.Abort) {
			open = append(open, m)
		}
	}
	return open
}

// failed counts the minions that failed and that were not excluded.
func (s *steps) failed() int {
	n := 0
	for _, m := range s.in(fleet.MinionFailed) {
		if !excluded(m) {
			n++
		}
	}
	return n
}

func excluded(m *fleet.MinionProgress) bool {
	return m.Decision != nil && m.Decision.Choice == fleet.Exclude
}

// Decide gives a person's decision about a minion that failed.
func (r *Rollout) Decide(ctx context.Context, id fleet.DeploymentID, minion fleet.MinionID, decision fleet.Decision) error {
	s, err := r.desk.of(id)
	if err != nil {
		return err
	}
	if !slices.Contains(fleet.Choices(), decision.Choice) {
		return fmt.Errorf("unknown choice %q; there are %v", decision.Choice, fleet.Choices())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.d.Minions, func(m *fleet.MinionProgress) bool { return m.Minion == minion })
	if s.d.Strategy.OnFailure != fleet.Ask || s.d.Status != fleet.Running || i < 0 || s.d.Minions[i].Phase != fleet.MinionFailed || s.d.Minions[i].Decision != nil {
		return fmt.Errorf("it waits for no decision about %s", minion)
	}
	m := s.d.Minions[i]
	m.Decision = &decision
	err = s.saveLocked(ctx, []*fleet.MinionProgress{m}, s.record(fleet.Record{
		Kind: fleet.DeploymentNote, Minion: minion, Message: because(fmt.Sprintf("%s: %s, says %s", minion, decision.Choice, decision.By), decision.Reason),
	}))
	if err != nil {
		m.Decision = nil
	}
	return err
}
