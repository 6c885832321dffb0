package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// each works on the minions side by side, and gives the first error.
func (s *steps) each(ctx context.Context, minions []*fleet.MinionProgress, work func(context.Context, *fleet.MinionProgress) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, m := range minions {
		g.Go(func() error { return work(ctx, m) })
	}
	return g.Wait()
}

// sideBySide does the same to all members at once, a bounded number at a time, and gives the first error.
func sideBySide(members []balancer.Member, do func(balancer.Member) error) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, m := range members {
		g.Go(func() error { return do(m) })
	}
	return g.Wait()
}

// hold keeps newcomers' deployments off the minions of a batch.
func (s *steps) hold(ctx context.Context, batch []*fleet.MinionProgress) (release func(), err error) {
	if s.d.Kind == fleet.KindNewcomer {
		return func() {}, nil
	}
	ids := make([]fleet.MinionID, len(batch))
	for i, m := range batch {
		ids[i] = m.Minion
	}
	return s.Hold(ctx, s.d.App, s.d.Group, ids...)
}

// set writes a minion's phase down, durably, before anything is done in it.
func (s *steps) set(ctx context.Context, m *fleet.MinionProgress, phase fleet.Phase, reason string) error {
	return s.change(ctx, m, func() fleet.Record {
		m.Phase, m.Reason, m.Updated = phase, reason, time.Now()
		return minionRecord(m)
	})
}

// setAll is set for many, with one write.
func (s *steps) setAll(ctx context.Context, phase fleet.Phase, list []*fleet.MinionProgress) error {
	if len(list) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setLocked(ctx, phase, list...)
}

// setLocked writes one phase of many minions down at once.
func (s *steps) setLocked(ctx context.Context, phase fleet.Phase, list ...*fleet.MinionProgress) error {
	records := make([]fleet.Record, 0, len(list))
	for _, m := range list {
		m.Phase, m.Updated = phase, time.Now()
		records = append(records, s.record(minionRecord(m)))
	}
	return s.saveLocked(ctx, list, records...)
}

// save writes the deployment down, with those of its minions that have changed.
func (s *steps) save(ctx context.Context, changed []*fleet.MinionProgress, records ...fleet.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveLocked(ctx, changed, records...)
}

func (s *steps) saveLocked(ctx context.Context, changed []*fleet.MinionProgress, records ...fleet.Record) error {
	if err := s.Ledger.SaveDeployment(ctx, s.d, changed, records...); err != nil {
		return fmt.Errorf("save deployment %s: %w", s.d.ID, err)
	}
	return nil
}

// note tells those who watch what is being done. It is no outcome, so losing one is only logged.
func (s *steps) note(ctx context.Context, line string) {
	if err := s.save(ctx, nil, s.record(fleet.Record{Kind: fleet.DeploymentNote, Message: line})); err != nil {
		s.Log.Warn("note not recorded", "deployment", s.d.ID, "error", err)
	}
}

func (s *steps) end(ctx context.Context, status fleet.DeploymentStatus, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.Status, s.d.Reason, s.d.Ended = status, strings.TrimSpace(reason), time.Now()
	return s.saveLocked(ctx, nil, s.statusRecord())
}

func (s *steps) record(r fleet.Record) fleet.Record {
	r.App, r.Group, r.Deployment, r.By = s.d.App, s.d.Group, s.d.ID, s.d.By
	return r
}

func (s *steps) statusRecord() fleet.Record {
	return s.record(fleet.Record{Kind: fleet.DeploymentChanged, Status: s.d.Status, Message: s.d.Reason})
}

// minionRecord tells of a minion's phase; the reason is told once, where it led to an end.
func minionRecord(m *fleet.MinionProgress) fleet.Record {
	r := fleet.Record{Kind: fleet.MinionChanged, Minion: m.Minion, Job: m.Job, Phase: m.Phase}
	if m.Phase == fleet.MinionFailed || m.Phase == fleet.Skipped {
		r.Message = m.Reason
	}
	return r
}

// in lists the minions that are in a phase.
func (s *steps) in(phase fleet.Phase) []*fleet.MinionProgress {
	var out []*fleet.MinionProgress
	for _, m := range s.d.Minions {
		if m.Phase == phase {
			out = append(out, m)
		}
	}
	return out
}

// touched lists the minions that the deployment took out of service or changed.
func (s *steps) touched() []*fleet.MinionProgress {
	var out []*fleet.MinionProgress
	for _, m := range s.d.Minions {
		if m.Phase != fleet.Skipped && m.Phase != fleet.Waiting && !excluded(m) {
			out = append(out, m)
		}
	}
	return out
}

// away counts the minions that were left out because they were not connected.
func (s *steps) away() int {
	n := 0
	for _, m := range s.d.Minions {
		if m.Away {
			n++
		}
	}
	return n
}

func anyFailed(minions []*fleet.MinionProgress) bool {
	return slices.ContainsFunc(minions, func(m *fleet.MinionProgress) bool { return m.Phase == fleet.MinionFailed })
}
