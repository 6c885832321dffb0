package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// deploy is one job at work on its root.
type deploy struct {
	r       *Runner
	site    *site
	layout  layout
	order   fleet.ReleaseOrder
	report  func(fleet.EventResult)
	j       *journal
	old     *record // live when the job began; may be nil
	next    *record // what is to be live
	scripts map[string]scripts
	again   int // events of the journal that a dead minion left, and the first that has not come up again
	prior   int
	number  int // of the event that is under way
}

// run is the story of a job. However it ends, the journal has the result.
func (d *deploy) run(ctx context.Context) error {
	old, err := d.site.live()
	if err != nil {
		return d.end(fleet.Failed, "", err)
	}
	if old != nil {
		d.old, d.j.Old = old, old.ID
	}
	if why := d.nothingToDo(); why != "" {
		return d.end(fleet.Succeeded, why, nil)
	}
	if err := d.prepare(ctx); err != nil {
		d.abandon()
		return d.end(fleet.Failed, "", err)
	}
	return d.finish(ctx)
}

// finish takes a prepared release to its end, whatever that is.
func (d *deploy) finish(ctx context.Context) error {
	var err error
	if d.j.Reverting {
		err = errors.New(d.j.Reason)
	} else if err = d.takeOver(ctx); err == nil {
		d.settle()
		return d.end(fleet.Succeeded, "", nil)
	}
	if !errors.Is(err, ErrLeft) {
		err = d.goBack(ctx, err)
	}
	if errors.Is(err, ErrLeft) {
		return d.leave(err)
	}
	return d.end(fleet.Failed, "", err)
}

// leave is for a minion that stops now: its successor goes on where this job is.
func (d *deploy) leave(err error) error {
	d.j.Left = true
	if e := d.r.save(d.j); e != nil {
		d.r.cfg.Log.Warn("job not left for the successor", "job", d.j.Job, "error", e)
	}
	d.r.cfg.Log.Info("job is left for the next start", "job", d.j.Job, "phase", string(d.j.Phase))
	return err
}

func (d *deploy) nothingToDo() string {
	if d.old != nil && d.old.Good && d.old.Digest == d.order.Revision.Digest && !d.order.Force {
		return "already at this revision"
	}
	return ""
}

// takeOver replaces the old release. The error leaves it to the caller to go back.
func (d *deploy) takeOver(ctx context.Context) error {
	for _, step := range []struct {
		phase phase
		do    func(context.Context) error
	}{
		{stopping, d.stopOld},
		{installing, d.install},
		{activating, d.activate},
		{starting, d.startNext},
		{validated, func(context.Context) error { return nil }},
	} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !step.phase.before(d.j.Phase) {
			if err := d.enter(step.phase); err != nil {
				return err
			}
		}
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// enter writes a step down before it is done.
func (d *deploy) enter(p phase) error {
	d.r.reached("before " + string(p))
	d.j.Phase = p
	if err := d.r.save(d.j); err != nil {
		return err
	}
	d.r.reached("entered " + string(p))
	return nil
}

// stopOld runs the scripts of the live release. The Block events come after the download, unlike on CodeDeploy, so that
// bad input takes nothing out of its balancer either.
func (d *deploy) stopOld(ctx context.Context) error {
	if d.old == nil {
		return nil
	}
	if err := d.runEvents(ctx, d.old, false, fleet.BeforeBlockTraffic, fleet.AfterBlockTraffic, fleet.ApplicationStop); err != nil {
		return fmt.Errorf("%w (a script of the live release: mend it in %s, or remove the link %s to deploy as if for the first time)",
			err, d.site.path(d.old), d.site.pointer)
	}
	return nil
}

func (d *deploy) install(ctx context.Context) error {
	if err := d.runEvents(ctx, d.next, false, fleet.BeforeInstall); err != nil {
		return err
	}
	err := d.event(fleet.EventResult{Event: fleet.Install}, func(*fleet.EventResult) error {
		return d.layout.install(ctx, d)
	})
	if err != nil {
		return err
	}
	if err := d.runEvents(ctx, d.next, false, fleet.AfterInstall); err != nil {
		return err
	}
	return syncTree(d.site.root) // all of the release, with what its scripts made of it, is durable before it is live
}

func (d *deploy) activate(context.Context) error {
	if err := d.site.pointTo(d.next.ID); err != nil {
		return err
	}
	d.r.reached("switched")
	return nil
}

func (d *deploy) startNext(ctx context.Context) error {
	err := d.runEvents(ctx, d.next, false, fleet.ApplicationStart, fleet.ValidateService, fleet.BeforeAllowTraffic, fleet.AfterAllowTraffic)
	if err != nil {
		return err
	}
	d.next.Good, d.next.Activated = true, time.Now().UTC()
	return d.site.save(d.next)
}

// settle tidies up after a success, which nothing can spoil any more.
func (d *deploy) settle() {
	if err := errors.Join(d.layout.settle(d), d.site.prune(d.order.Keep, false)); err != nil {
		d.r.cfg.Log.Warn("leftovers not removed", "root", d.site.dir, "error", err)
	}
	d.r.reached("pruned")
}

// end writes the result down. Its error is the job's.
func (d *deploy) end(outcome fleet.Outcome, skipped string, err error) error {
	res := &fleet.ReleaseResult{Previous: d.old.digest(), Skipped: skipped, Events: d.j.Events}
	if live := d.live(); live != nil {
		res.Live, res.Serving = live.Digest, live.Good
		res.Reverted = d.j.Reverting && live.Good
	}
	err = oneLine(err)
	d.j.Result, d.j.Outcome = res, outcome
	if err != nil {
		d.j.Reason = err.Error()
	}
	d.r.reached("before done")
	if e := d.r.save(d.j); e != nil {
		d.r.cfg.Log.Warn("end of job not written down", "job", d.j.Job, "error", e)
	}
	d.r.reached("done")
	return err
}

// live returns what current points at, with what this job has found out about it.
func (d *deploy) live() *record {
	id, err := d.site.link()
	for _, rec := range []*record{d.old, d.next} {
		if err == nil && rec != nil && rec.ID == id {
			return rec
		}
	}
	return nil
}

// event tells of one event, or of one script, around do. The journal has it before it starts.
func (d *deploy) event(e fleet.EventResult, do func(*fleet.EventResult) error) error {
	before := d.before(e)
	switch {
	case before != nil && before.Outcome == fleet.EventFailed:
		return errors.New(before.Reason)
	case before != nil && before.Outcome == fleet.EventSucceeded:
		return nil
	case before != nil:
		e = *before
	default:
		e.Outcome, e.Started = fleet.EventRunning, time.Now().UTC()
		d.j.Events = append(d.j.Events, e)
		d.number = len(d.j.Events) - 1
	}
	i, name := d.number, strings.TrimSpace(string(e.Event)+" "+e.Script)
	if err := d.note("before " + name); err != nil {
		d.j.Events = d.j.Events[:i]
		return err
	}
	d.report(e)
	err := do(&e)
	if errors.Is(err, ErrLeft) {
		return err
	}
	e.Outcome, e.Ended = fleet.EventSucceeded, time.Now().UTC()
	if err != nil {
		e.Outcome, e.Reason = fleet.EventFailed, oneLine(err).Error()
	}
	d.j.Events[i] = e
	d.report(e)
	if noted := d.note("after " + name); err == nil {
		err = noted
	}
	return err
}

// before returns what the journal has of an event that comes up again, since a successor takes all steps from the
// beginning; nil when it is new. Only the last one of a dead minion may be running.
func (d *deploy) before(e fleet.EventResult) *fleet.EventResult {
	for d.again < d.prior {
		old := &d.j.Events[d.again]
		d.number = d.again
		d.again++
		if old.Event == e.Event && old.Script == e.Script && old.Revert == e.Revert {
			return old
		}
	}
	return nil
}

// note saves the journal. On the way back nothing may stop the job, not even a full disk.
func (d *deploy) note(step string) error {
	err := d.r.save(d.j)
	d.r.reached(step)
	if err != nil && d.j.Reverting {
		d.r.cfg.Log.Warn("step not written down", "job", d.j.Job, "error", err)
		return nil
	}
	return err
}

// newID names a release by time and digest, so that names sort by age.
func (d *deploy) newID() string {
	for {
		id := time.Now().UTC().Format("20060102T150405.000Z") + "-" + d.order.Revision.Digest.Short()
		if _, err := d.site.root.Lstat(d.site.tree(id)); err != nil {
			return id
		}
		time.Sleep(time.Millisecond)
	}
}
