// Package rollout carries one deployment out. plan.go and verdict.go decide, purely; this file tells the story; steps.go
// acts. Every step can be repeated without harm, so a deployment that a restarted master finds unended is simply run
// again from the phases that the journal has.
package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Ledger is the journal as a rollout needs it.
type Ledger interface {
	SaveDeployment(ctx context.Context, d *fleet.Deployment, changed []*fleet.MinionProgress, records ...fleet.Record) error
	SetLive(ctx context.Context, app fleet.AppName, group fleet.GroupName, live map[fleet.MinionID]fleet.Digest) error
	SetTarget(ctx context.Context, app fleet.AppName, group fleet.GroupName, revision fleet.Digest, by fleet.DeploymentID) error
	Revision(ctx context.Context, app fleet.AppName, digest fleet.Digest) (fleet.Revision, error)
	// ReturnsAfter gives the last parts of a job's returns that were recorded after seq, and the number to go on with.
	ReturnsAfter(ctx context.Context, job fleet.JobID, seq uint64) (list []fleet.Return, next uint64, err error)
	// ServingSide is the side of a blue/green group that was switched to last; empty before the first switch.
	ServingSide(ctx context.Context, app fleet.AppName, group fleet.GroupName) (fleet.Side, error)
	Changed() <-chan struct{}
}

// Fleet is the minions as a rollout needs them.
type Fleet interface {
	// Candidates are the accepted minions that the group's target matches.
	Candidates(ctx context.Context, app fleet.AppName, group fleet.Group, name fleet.GroupName) ([]Candidate, error)
	// Find gives one of them.
	Find(ctx context.Context, group fleet.Group, id fleet.MinionID) (m fleet.Minion, ok bool, err error)
	// Publish sends jobs to their minions, durably; a (job, minion) that was published before is not published again.
	Publish(ctx context.Context, d *fleet.Deployment, jobs []fleet.Job) error
	// GoneSince says when a minion disconnected; zero while it is connected.
	GoneSince(minion fleet.MinionID) time.Time
	// Kill ends a job on all minions that have not ended it; each still returns what came of it.
	Kill(ctx context.Context, job fleet.JobID, by string) error
}

// Revisions gives the archive of a ref, and what a minion needs to fetch and open it.
type Revisions interface {
	Prepare(ctx context.Context, app fleet.Application, ref, by string, note func(line string)) (fleet.Revision, error)
	Fetch(ctx context.Context, revision fleet.Revision, ttl time.Duration) (url, identity string, err error)
}

// Gate asks what returns and balancers do not tell.
type Gate interface {
	// Check tries a health check until it passes; the error says what it saw last.
	Check(ctx context.Context, check fleet.HealthCheck, minion fleet.Minion) error
	// Ask reads an alarm once. Sounding of its answer is not looked at.
	Ask(ctx context.Context, alarm fleet.Alarm) Reading
}

// Rollout carries deployments out. Its fields are set once; it may run several deployments at a time.
type Rollout struct {
	Ledger    Ledger
	Fleet     Fleet
	Revisions Revisions
	Balancers map[string]balancer.Balancer
	Gate      Gate
	Log       *slog.Logger

	holds holds
	desk  desk
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
	defer r.desk.seat(s)()
	defer s.limit(ctx)()
	if d.Status == fleet.Reverting {
		return s.revert(ctx)
	}
	defer s.listen(ctx)()
	return s.deploy(ctx)
}

// deploy is the way forward: prepare, plan, and stage after stage with what lies between them.
func (s *steps) deploy(ctx context.Context) error {
	if s.d.Passed {
		return s.succeed(ctx)
	}
	if err := s.prepare(ctx); err != nil {
		return s.refuse(ctx, err)
	}
	if err := s.plan(ctx); err != nil {
		return s.refuse(ctx, err)
	}
	way := forward(s.d)
	for _, part := range parts(s.d) {
		if part.pause != nil && part.pause.Done {
			continue // before a restart; what has happened since must not speak against it, as others are under way
		}
		if err := s.roll(ctx, way, part.batches); err != nil {
			return s.refuse(ctx, err)
		}
		if err := s.pause(ctx, part.pause); err != nil {
			return s.refuse(ctx, err)
		}
	}
	if err := s.switchOver(ctx); err != nil {
		return s.refuse(ctx, err)
	}
	if err := s.quiet(ctx); err != nil {
		return s.refuse(ctx, err)
	}
	return s.succeed(ctx)
}

// roll takes batch after batch, or as many at a time as a rolling window holds, while nothing speaks against the next.
func (s *steps) roll(ctx context.Context, w way, batches [][]*fleet.MinionProgress) error {
	wctx, stop := context.WithCancel(ctx)
	defer stop()
	slots, failed := make(chan struct{}, s.width()), make(chan error, len(batches))
	var work sync.WaitGroup
	var against error
	for _, batch := range batches {
		slots <- struct{}{} // always free in the end: every batch ends with its context
		if wctx.Err() != nil || len(failed) > 0 {
			break
		}
		if against = s.mayBegin(wctx, batch); against != nil {
			break
		}
		s.begin(batch)
		work.Go(func() {
			if err := s.batch(wctx, w, batch); err != nil {
				failed <- err
				if !errors.As(err, new(refusal)) { // over a refusal the others under way are not left alone
					stop()
				}
			}
			s.done(batch)
			<-slots // the last thing: what failed is known before the next begins
		})
	}
	work.Wait()
	close(failed)
	for err := range failed {
		if !errors.As(err, new(refusal)) {
			return err
		}
		against = cmp.Or(against, err)
	}
	if against != nil || ctx.Err() != nil {
		return cmp.Or(ctx.Err(), against)
	}
	return s.enough()
}

// batch brings some minions to a revision: out of the pool, the job, its return, and back in if it passed.
func (s *steps) batch(ctx context.Context, w way, batch []*fleet.MinionProgress) error {
	release, err := s.hold(ctx, batch)
	if err != nil {
		return err
	}
	defer release()
	if err := s.carry(ctx, w, batch); err != nil {
		return err
	}
	return s.settle(ctx, w, batch)
}

// carry does a batch's work. Those that are tried again, which a restart may have interrupted, have a job of their own.
func (s *steps) carry(ctx context.Context, w way, batch []*fleet.MinionProgress) error {
	if i := slices.IndexFunc(batch, func(m *fleet.MinionProgress) bool { return m.Attempt != batch[0].Attempt }); i > 0 {
		if err := s.carry(ctx, w, batch[:i]); err != nil {
			return err
		}
		return s.carry(ctx, w, batch[i:])
	}
	if err := s.drain(ctx, batch); err != nil {
		return err
	}
	if err := s.publish(ctx, w, batch); err != nil {
		return err
	}
	return s.collect(ctx, w, batch)
}

// fail ends a deployment that must not go on: the revision before is brought back, if there is one and it may be.
func (s *steps) fail(ctx context.Context, status fleet.DeploymentStatus, reason string, revert bool) error {
	touched := s.touched()
	switch {
	case s.d.Strategy.BlueGreen != nil:
		return s.switchBack(ctx, status, reason, revert)
	case s.d.Kind == fleet.KindNewcomer || !revert || len(touched) == 0:
		return s.end(ctx, status, reason)
	case s.d.Previous == "":
		return s.end(ctx, status, reason+"; there is no revision before this one to go back to")
	}
	for _, m := range s.in(fleet.Waiting) {
		m.Phase, m.Reason = fleet.Skipped, "the deployment ended before its turn"
	}
	s.turnBack(touched)
	s.d.Status, s.d.Reason = fleet.Reverting, reason
	if err := s.save(ctx, s.d.Minions, s.statusRecord()); err != nil {
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
	for i, rest := range batches(s.d) {
		for len(rest) > 0 {
			batch, err := rest, error(nil) // the first batch failed: it serves nothing that could be missed
			if i > 0 {
				batch, err = s.fitting(ctx, rest)
			}
			if err != nil {
				return s.refuse(ctx, err)
			}
			rest = rest[len(batch):]
			if err := s.batch(ctx, w, batch); err != nil {
				return s.refuse(ctx, err)
			}
			if i > 0 && anyFailed(batch) {
				return s.end(ctx, fleet.DeployFailed, s.d.Reason+"; the revert stopped: the revision before did not come back either")
			}
		}
	}
	if n := s.failed(); n > 0 {
		return s.end(ctx, fleet.DeployFailed, fmt.Sprintf("%s; reverted, but %s did not come back", s.d.Reason, minions(n)))
	}
	return s.end(ctx, fleet.Reverted, s.d.Reason+"; "+previous.Name()+" serves again")
}

// succeed ends a deployment whose batches all passed the gate.
func (s *steps) succeed(ctx context.Context) error {
	active, failed, away := len(s.in(fleet.Active)), s.failed(), s.away()
	switch {
	case active == 0 && failed+away > 0:
		return s.fail(ctx, fleet.DeployFailed, fmt.Sprintf("no minion took the revision: %d failed, %d not connected", failed, away), !s.d.Strategy.NoRevert)
	case s.d.Kind != fleet.KindNewcomer:
		if err := s.pass(ctx); err != nil {
			return err
		}
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

// pass writes down that nothing can speak against the deployment any more: its revision is about to become the target, and
// a master that is restarted right then must come to the same end.
func (s *steps) pass(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.Passed = true
	return s.saveLocked(ctx, nil)
}

// refusal is a reason that ends a deployment: trying again would not help. Any other error of a step means that the
// master could not go on now.
type refusal struct {
	reason error
	status fleet.DeploymentStatus // failed when empty
	stays  bool                   // what was done is not taken back
}

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
		return s.fail(ctx, cmp.Or(why.status, fleet.DeployFailed), why.Error(), !why.stays && !s.d.Strategy.NoRevert)
	}
}
