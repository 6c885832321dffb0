package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Interrupted is a job whose return may never have got out: the minion died, or was stopped, inside it or just after.
type Interrupted struct {
	Job     fleet.JobID
	Outcome fleet.Outcome // fleet.Interrupted; or how the job ended when it had ended
	Result  fleet.ReleaseResult
	Reason  string
	GoesOn  bool // it has not ended: call Resume
}

// lockTime bounds the wait for a root that somebody else holds while the minion starts.
const lockTime = 10 * time.Second

// Recover brings every root that a dead minion left in the middle of a job back to one whole release: the new one where
// it had been validated, else the old one, started again. It tells of every job that was not forgotten, also of those
// that had ended; report gets the events that it runs. A root that cannot be brought back now (not mounted, locked) is
// told in its job's Reason and tried again by the next Recover or Release there. The error is one of the state directory.
func (r *Runner) Recover(ctx context.Context, report func(fleet.EventResult)) ([]Interrupted, error) {
	journals, err := r.journals()
	if err != nil {
		return nil, err
	}
	var out []Interrupted
	for _, j := range journals {
		if j.Result != nil {
			out = append(out, j.told())
			continue
		}
		if r.canGoOn(j) {
			out = append(out, Interrupted{Job: j.Job, GoesOn: true, Result: fleet.ReleaseResult{Events: j.Events}})
			continue
		}
		if err := r.recoverJob(ctx, j, report); err != nil {
			reason := fmt.Sprintf("the minion died while %s, and the host could not be brought back: %s", j.Phase, oneLine(err))
			out = append(out, Interrupted{Job: j.Job, Outcome: fleet.Interrupted, Reason: reason, Result: fleet.ReleaseResult{Events: j.Events}})
			continue
		}
		out = append(out, j.told())
	}
	return out, nil
}

// told is what there is to tell of a job that has ended.
func (j *journal) told() Interrupted {
	return Interrupted{Job: j.Job, Outcome: j.Outcome, Result: *j.Result, Reason: j.Reason}
}

// Resume goes on with a job of which Recover says so: it waits for the script that outlived the minion, and takes the other
// steps. It may take as long as the job. The only error is ErrLeft; then the job is to be resumed again.
func (r *Runner) Resume(ctx context.Context, job fleet.JobID, report func(fleet.EventResult)) (Interrupted, error) {
	j := &journal{}
	if err := readJSON(r.state, journalName(job), j); err != nil {
		return Interrupted{Job: job, Outcome: fleet.Interrupted, Reason: oneLine(err).Error()}, nil
	}
	if j.Result == nil {
		if err := r.recoverJob(ctx, j, report); errors.Is(err, ErrLeft) {
			return Interrupted{Job: job}, ErrLeft
		} else if err != nil {
			reason := "the host could not be brought back: " + oneLine(err).Error()
			return Interrupted{Job: job, Outcome: fleet.Interrupted, Reason: reason, Result: fleet.ReleaseResult{Events: j.Events}}, nil
		}
	}
	r.tidy()
	return j.told(), nil
}

// canGoOn reports whether a job can be taken up where a minion left it: it was left on purpose, or in a script of which it
// is known, or will be, how it ends.
func (r *Runner) canGoOn(j *journal) bool {
	if j.Result != nil || j.Phase == fetching || j.Phase == validated {
		return false
	}
	if n := len(j.Events) - 1; n >= 0 && j.Events[n].Outcome == fleet.EventRunning && j.Events[n].Script != "" {
		dir := r.superviseDir(j.Job, n, j.Events[n].Event)
		if _, err := os.Stat(filepath.Join(dir, "lock")); err == nil || !j.Left {
			return process.Watched(dir)
		}
	}
	return j.Left
}

// goOn takes a job up.
func (d *deploy) goOn(ctx context.Context) error {
	limit := max(time.Second, time.Until(d.j.Started.Add(d.order.Timeout.Or(defaultTimeout))))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("the job's time is over"))
	defer cancel()
	d.r.cfg.Log.Info("job goes on", "job", d.j.Job, "phase", string(d.j.Phase))
	d.prior, d.j.Left = len(d.j.Events), false
	_ = d.finish(ctx)
	if d.j.Left {
		return ErrLeft
	}
	return d.site.sweep()
}

func (r *Runner) recoverJob(ctx context.Context, j *journal, report func(fleet.EventResult)) error {
	if _, err := os.Stat(filepath.Join(j.Order.Root, privateDir)); err != nil {
		return fmt.Errorf("root is not there: %w", err) // perhaps not mounted: it must not be made anew
	}
	locking, cancel := context.WithTimeoutCause(ctx, lockTime, errors.New("another process holds it"))
	defer cancel()
	s, err := openSite(locking, j.Order)
	if err != nil {
		return err
	}
	defer s.close()
	return r.resume(ctx, s, j, report)
}

// recoverRoot does what Recover could not do for this root at the start. Whoever holds the root knows that its unfinished
// jobs are dead.
func (r *Runner) recoverRoot(ctx context.Context, s *site) error {
	journals, err := r.journals()
	if err != nil {
		return err
	}
	for _, j := range journals {
		if j.Result == nil && j.Order.Root == s.dir {
			if err := r.resume(ctx, s, j, func(fleet.EventResult) {}); err != nil {
				return fmt.Errorf("bring %s back from job %s: %w", s.dir, j.Job, err)
			}
		}
	}
	return nil
}

// resume ends a dead minion's job.
func (r *Runner) resume(ctx context.Context, s *site, j *journal, report func(fleet.EventResult)) error {
	how, err := newLayout(j.Order)
	if err != nil {
		return err
	}
	d := &deploy{r: r, site: s, layout: how, order: j.Order, report: report, j: j}
	if j.Old != "" {
		if d.old, err = s.load(j.Old); err != nil {
			return err
		}
	}
	if j.Release != "" {
		if d.next, err = s.load(j.Release); err != nil {
			return err
		}
	}
	if d.next != nil && r.canGoOn(j) {
		d.next.Hooks, d.next.Group = j.Order.Hooks, j.Order.Group
		return d.goOn(ctx)
	}
	d.endEvents()
	r.cfg.Log.Warn("job was interrupted", "job", j.Job, "phase", string(j.Phase), "root", s.dir)
	if j.Phase == validated {
		d.settle()
		_ = d.end(fleet.Succeeded, "", nil)
		return s.sweep()
	}
	cause := fmt.Errorf("the minion died while %s", j.Phase)
	j.Outcome = fleet.Interrupted
	if j.Phase == fetching {
		d.abandon()
	} else {
		cause = d.goBack(ctx, cause)
	}
	_ = d.end(fleet.Interrupted, "", cause)
	return s.sweep()
}

// endEvents ends what was running when the minion died, processes too: a script that goes on would work against the
// release that comes back.
func (d *deploy) endEvents() {
	for i := range d.j.Events {
		e := &d.j.Events[i]
		if e.Outcome != fleet.EventRunning {
			continue
		}
		if e.Script != "" {
			process.EndMarked(d.mark(i), d.r.cfg.Grace)
		}
		e.Outcome, e.Ended, e.Reason = fleet.EventFailed, time.Now().UTC(), "interrupted: the minion died"
		d.report(*e)
	}
}
