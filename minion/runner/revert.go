package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// abandon drops what was fetched. Nothing else happened.
func (d *deploy) abandon() {
	err := d.site.sweep()
	if d.j.Release != "" && !d.j.Reused {
		err = errors.Join(err, d.site.discard(d.j.Release))
	}
	if err != nil {
		d.r.cfg.Log.Warn("fetched release not removed", "root", d.site.dir, "error", err)
	}
}

// goBack makes the release before live again and starts it, whatever state the new one is in; it can be repeated. The
// job's time may be over: going back has its own, as long again. It returns cause, with what came of it.
// With ErrLeft it is not back yet.
func (d *deploy) goBack(ctx context.Context, cause error) error {
	ctx, cancel := d.untilLeft(ctx, d.order.Timeout.Or(defaultTimeout))
	defer cancel()
	// A dead minion may have stopped the application, or started it again, or not yet.
	unsure := d.j.Outcome == fleet.Interrupted && (d.j.Phase == stopping || d.j.Reverting) ||
		d.j.Phase == stopping && errors.Is(cause, process.ErrUnwatched)
	d.j.Reverting, d.j.Reason = true, oneLine(cause).Error()
	_ = d.note("reverting")
	err := d.restart(ctx, unsure)
	if errors.Is(err, ErrLeft) {
		return err
	}
	if where := d.putAside(); where != "" {
		cause = fmt.Errorf("%w; the failed one is kept for inspection in %s", cause, where)
	}
	switch {
	case err != nil:
		d.distrustOld()
		return fmt.Errorf("%w; going back failed too: %w", cause, err)
	case d.old == nil:
		return fmt.Errorf("%w; there is no release before it to go back to", cause)
	default:
		d.trustOld()
		return fmt.Errorf("%w; the release before (%s) is live again", cause, d.old.ID)
	}
}

// untilLeft is a context of its own time, which ends before when the minion stops.
func (d *deploy) untilLeft(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	own, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), ErrLeft) {
			leave(ErrLeft)
		}
	})
	own, cancel := context.WithTimeout(own, limit)
	return own, func() { stop(); cancel(); leave(nil) }
}

// restart starts the old release. unsure says that it may be running, and that has to end first.
func (d *deploy) restart(ctx context.Context, unsure bool) error {
	if err := d.switchBack(); err != nil {
		return err
	}
	d.r.reached("switched back")
	if d.j.Phase == starting && d.next != nil {
		if err := d.runEvents(ctx, d.next, true, fleet.ApplicationStop); errors.Is(err, ErrLeft) {
			return err
		} else if err != nil {
			d.r.cfg.Log.Warn("failed release not stopped", "release", d.next.ID, "error", err)
		}
	}
	if err := d.layout.back(d); err != nil {
		return err
	}
	if d.old == nil {
		return nil
	}
	if unsure {
		if err := d.runEvents(ctx, d.old, true, fleet.ApplicationStop); errors.Is(err, ErrLeft) {
			return err
		} else if err != nil {
			d.r.cfg.Log.Warn("release not stopped before its start", "release", d.old.ID, "error", err)
		}
	}
	// The traffic events too: the Block scripts of this release may have taken it out.
	return d.runEvents(ctx, d.old, true, fleet.ApplicationStart, fleet.ValidateService, fleet.BeforeAllowTraffic, fleet.AfterAllowTraffic)
}

func (d *deploy) switchBack() error {
	back := ""
	if d.old != nil {
		back = d.old.ID
	}
	if now, err := d.site.link(); err == nil && now == back {
		return nil
	}
	return d.site.pointTo(back)
}

// putAside keeps one failed release for inspection, unless nobody ever worked in it, and says where.
func (d *deploy) putAside() (where string) {
	var err error
	switch touched := !d.j.Phase.before(installing); {
	case d.next == nil || !touched && d.j.Reused:
	case !touched, d.j.Outcome == fleet.Interrupted && !d.j.Reused:
		err = d.site.discard(d.next.ID)
	default:
		d.next.Good, d.next.Activated = false, time.Now().UTC()
		where = d.site.path(d.next)
		if err = d.site.save(d.next); err == nil {
			err = d.site.prune(d.order.Keep, true)
		}
	}
	if err != nil {
		d.r.cfg.Log.Warn("failed release not put aside", "root", d.site.dir, "error", err)
	}
	d.r.reached("put aside")
	return where
}

// distrustOld remembers that the live release does not run, so that a job for the same revision is no skip.
func (d *deploy) distrustOld() { d.rate(false) }

func (d *deploy) trustOld() { d.rate(true) }

func (d *deploy) rate(good bool) {
	if d.old == nil || d.old.Good == good {
		return
	}
	d.old.Good = good
	if d.old.Digest == "" {
		return // not ours
	}
	if err := d.site.save(d.old); err != nil {
		d.r.cfg.Log.Warn("state of release not written down", "release", d.site.path(d.old), "error", err)
	}
}
