package master

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/freeze"
)

// locks keep deployments off groups: those that people set, and the freezes of the applications' files.
type locks struct {
	apps    *applications
	journal *journal.Journal
}

// check refuses a deployment of a group that somebody else has locked, or that is frozen.
func (l *locks) check(ctx context.Context, app fleet.Application, group fleet.GroupName, by string, now time.Time) error {
	held, err := l.journal.Locks(ctx, now)
	if err != nil {
		return err
	}
	for _, lock := range held {
		if lock.App == app.Name && (lock.Group == "" || lock.Group == group) && lock.Owner != by {
			return &fleet.Problem{
				Message: fmt.Sprintf("%s %s is locked by %s since %s: %s", lock.App, lock.Group, lock.Owner, lock.Since.Local().Format(time.DateTime), lock.Reason),
				Hint:    "wait (--lock-wait), ask, or brine unlock " + string(app.Name), Exit: fleet.ExitLocked,
			}
		}
	}
	for _, f := range slices.Concat(app.Freeze, app.Groups[group].Freeze) {
		w, err := freeze.Parse(f)
		if err != nil {
			return usage(err)
		}
		if until, frozen := w.Until(now); frozen {
			return &fleet.Problem{
				Message: fmt.Sprintf("%s %s is frozen until %s: %s", app.Name, group, until.Local().Format(time.DateTime), w.Reason()),
				Hint:    "--break-glass REASON deploys all the same, and is written down", Exit: fleet.ExitLocked,
			}
		}
	}
	return nil
}

func (l *locks) lock(ctx context.Context, req fleet.LockRequest, by string) (fleet.Lock, error) {
	if err := l.known(req.App, req.Group); err != nil {
		return fleet.Lock{}, err
	}
	lock := fleet.Lock{App: req.App, Group: req.Group, Owner: by, Reason: req.Reason, Since: time.Now()}
	if req.Lease > 0 {
		lock.Until = lock.Since.Add(time.Duration(req.Lease))
	}
	other, err := l.journal.Lock(ctx, lock)
	if err == nil && other != nil {
		err = &fleet.Problem{
			Message: fmt.Sprintf("%s %s is locked by %s since %s: %s", other.App, other.Group, other.Owner, other.Since.Local().Format(time.DateTime), other.Reason),
			Hint:    "brine unlock --force takes it away from its owner", Exit: fleet.ExitLocked,
		}
	}
	return lock, err
}

// unlock gives the lock that it took away.
func (l *locks) unlock(ctx context.Context, app fleet.AppName, group fleet.GroupName, by string, force bool) (fleet.Lock, error) {
	held, err := l.journal.Locks(ctx, time.Now())
	if err != nil {
		return fleet.Lock{}, err
	}
	i := slices.IndexFunc(held, func(k fleet.Lock) bool { return k.App == app && k.Group == group })
	if i < 0 {
		return fleet.Lock{}, &fleet.Problem{Message: fmt.Sprintf("%s %s is not locked", app, group), Hint: "brine lock --list shows the locks", Exit: fleet.ExitFailed}
	}
	if held[i].Owner != by && !force {
		return fleet.Lock{}, &fleet.Problem{
			Message: fmt.Sprintf("%s %s is locked by %s: %s", app, group, held[i].Owner, held[i].Reason), Hint: "--force takes it away from its owner", Exit: fleet.ExitLocked,
		}
	}
	err = l.journal.Unlock(ctx, app, group)
	if errors.Is(err, journal.ErrNotFound) {
		err = nil // somebody else was quicker
	}
	return held[i], err
}

// known refuses an application or a group that there is not.
func (l *locks) known(app fleet.AppName, group fleet.GroupName) error {
	_, err := l.apps.get(app, group)
	return err
}

func (m *Master) getLocks(ctx context.Context, _ *http.Request) (any, error) {
	list, err := m.journal.Locks(ctx, time.Now())
	return notNil(list), err
}

func (m *Master) postLock(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.LockRequest](r)
	if err != nil {
		return nil, err
	}
	return m.deployments.locks.lock(ctx, req, caller(ctx))
}

func (m *Master) postUnlock(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	return m.deployments.locks.unlock(ctx, fleet.AppName(q.Get("app")), fleet.GroupName(q.Get("group")), caller(ctx), q.Get("force") == "true")
}
