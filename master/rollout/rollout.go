// Package rollout carries one deployment out. plan.go and verdict.go decide, purely; this file tells the story; steps.go
// acts. Every step can be repeated without harm, so a deployment that a restarted master finds unended is simply run
// again from the phases that the journal has.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Ledger is the journal as a rollout needs it.
type Ledger interface {
	SaveDeployment(ctx context.Context, d *fleet.Deployment, records ...fleet.Record) error
	SetLive(ctx context.Context, app fleet.AppName, group fleet.GroupName, minion fleet.MinionID, live fleet.Digest) error
	SetTarget(ctx context.Context, app fleet.AppName, group fleet.GroupName, revision fleet.Digest, by fleet.DeploymentID) error
	Revision(ctx context.Context, app fleet.AppName, digest fleet.Digest) (fleet.Revision, error)
	Returns(ctx context.Context, job fleet.JobID) ([]fleet.Return, error)
	Changed() <-chan struct{}
}

// Fleet is the minions as a rollout needs them.
type Fleet interface {
	// Candidates are the accepted minions that the group's target matches.
	Candidates(ctx context.Context, app fleet.AppName, group fleet.Group, name fleet.GroupName) ([]Candidate, error)
	// Publish sends jobs to their minions, durably; a (job, minion) that was published before is not published again.
	Publish(ctx context.Context, d *fleet.Deployment, jobs []fleet.Job) error
	// GoneSince says when a minion disconnected; zero while it is connected.
	GoneSince(minion fleet.MinionID) time.Time
}

// Revisions gives the archive of a ref, and what a minion needs to fetch and open it.
type Revisions interface {
	Prepare(ctx context.Context, app fleet.Application, ref, by string, note func(line string)) (fleet.Revision, error)
	Fetch(ctx context.Context, revision fleet.Revision, ttl time.Duration) (url, identity string, err error)
}

// Rollout carries deployments out. Its fields are set once; it may run several deployments at a time.
type Rollout struct {
	Ledger    Ledger
	Fleet     Fleet
	Revisions Revisions
	Balancers map[string]balancer.Balancer
	Log       *slog.Logger

	holds holds
}

// Run carries a deployment out from wherever it is, and returns when it has ended, or with an error when it could not
// go on now: ctx is done or the journal fails. Then it is to be run again. It holds the minions that it works on; only
// the one of a newcomer's deployment is held by the caller.
func (r *Rollout) Run(ctx context.Context, app fleet.Application, d *fleet.Deployment) error {
	group, ok := app.Groups[d.Group]
	s := &steps{Rollout: r, app: app, d: d}
	if !ok {
		return s.end(ctx, fleet.DeployFailed, fmt.Sprintf("group %s is no longer configured in application %s", d.Group, d.App))
	}
	s.group = *group
	if d.Status == fleet.Reverting {
		return s.revert(ctx)
	}
	return s.deploy(ctx)
}

// deploy is the way forward: prepare, plan, and batch after batch.
func (s *steps) deploy(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return s.refuse(ctx, err)
	}
	if err := s.plan(ctx); err != nil {
		return s.refuse(ctx, err)
	}
	way := forward(s.d)
	for _, batch := range batches(s.d) {
		if err := s.mayTakeOut(ctx, batch); err != nil {
			return s.refuse(ctx, err)
		}
		if err := s.batch(ctx, way, batch); err != nil {
			return s.refuse(ctx, err)
		}
		if v := JudgeRollout(s.d.Strategy, len(s.in(fleet.MinionFailed))); v.Decision == Fail {
			return s.fail(ctx, v.Reason)
		}
	}
	return s.succeed(ctx)
}

// batch brings some minions to a revision: out of the pool, the job, its return, and back in if it passed.
func (s *steps) batch(ctx context.Context, w way, batch []*fleet.MinionProgress) error {
	release, err := s.hold(ctx, batch)
	if err != nil {
		return err
	}
	defer release()
	if err := s.drain(ctx, batch); err != nil {
		return err
	}
	if err := s.publish(ctx, w, batch); err != nil {
		return err
	}
	return s.collect(ctx, w, batch)
}

// fail ends a deployment that must not go on: the revision before is brought back, if there is one and it may be.
func (s *steps) fail(ctx context.Context, reason string) error {
	touched := s.touched()
	switch {
	case s.d.Kind == fleet.KindNewcomer || s.d.Strategy.NoRevert || len(touched) == 0:
		return s.end(ctx, fleet.DeployFailed, reason)
	case s.d.Previous == "":
		return s.end(ctx, fleet.DeployFailed, reason+"; there is no revision before this one to go back to")
	}
	for _, m := range s.in(fleet.Waiting) {
		m.Phase, m.Reason = fleet.Skipped, "the deployment failed before its turn"
	}
	for _, m := range touched {
		if m.Phase == fleet.MinionFailed {
			m.Batch = 0 // they serve nothing: mend them first, all at once
		} else {
			m.Batch++
		}
		m.Phase = fleet.Waiting
	}
	s.d.Status, s.d.Reason = fleet.Reverting, reason
	if err := s.save(ctx, s.statusRecord()); err != nil {
		return err
	}
	return s.revert(ctx)
}

// revert brings the minions that the deployment touched back to the revision before.
func (s *steps) revert(ctx context.Context) error {
	previous, err := s.Ledger.Revision(ctx, s.d.App, s.d.Previous)
	if err != nil {
		return fmt.Errorf("revert to %s: %w", s.d.Previous.Short(), err)
	}
	w := back(previous)
	for i, batch := range batches(s.d) {
		if err := s.batch(ctx, w, batch); err != nil {
			return s.refuse(ctx, err)
		}
		if i > 0 && anyFailed(batch) {
			return s.end(ctx, fleet.DeployFailed, s.d.Reason+"; the revert stopped: the revision before did not come back either")
		}
	}
	if n := len(s.in(fleet.MinionFailed)); n > 0 {
		return s.end(ctx, fleet.DeployFailed, fmt.Sprintf("%s; reverted, but %s did not come back", s.d.Reason, minions(n)))
	}
	return s.end(ctx, fleet.Reverted, s.d.Reason+"; "+previous.Name()+" serves again")
}

// succeed ends a deployment whose batches all passed the gate.
func (s *steps) succeed(ctx context.Context) error {
	active, failed, away := len(s.in(fleet.Active)), len(s.in(fleet.MinionFailed)), s.away()
	switch {
	case active == 0 && failed+away > 0:
		return s.fail(ctx, fmt.Sprintf("no minion took the revision: %d failed, %d not connected", failed, away))
	case s.d.Kind != fleet.KindNewcomer:
		if err := s.Ledger.SetTarget(ctx, s.d.App, s.d.Group, s.d.Revision.Digest, s.d.ID); err != nil {
			return fmt.Errorf("set target of %s %s: %w", s.d.App, s.d.Group, err)
		}
	}
	switch {
	case failed+away > 0:
		return s.end(ctx, fleet.DeployPartly, fmt.Sprintf("%d active, %d failed, %d not connected", active, failed, away))
	case active == 0:
		return s.end(ctx, fleet.DeploySucceeded, "nothing to do: every minion is at this revision")
	default:
		return s.end(ctx, fleet.DeploySucceeded, minions(active)+" active")
	}
}

// refusal is a reason that ends a deployment: trying again would not help. Any other error of a step means that the
// master could not go on now.
type refusal struct{ reason error }

func (r refusal) Error() string { return r.reason.Error() }
func (r refusal) Unwrap() error { return r.reason }

// refuse ends a deployment over a refusal; it hands any other error on.
func (s *steps) refuse(ctx context.Context, err error) error {
	var why refusal
	switch {
	case ctx.Err() != nil || !errors.As(err, &why):
		return err
	case s.d.Status == fleet.Reverting:
		return s.end(ctx, fleet.DeployFailed, s.d.Reason+"; the revert stopped: "+why.Error())
	default:
		return s.fail(ctx, why.Error())
	}
}
