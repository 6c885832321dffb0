package journal

import (
	"context"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Lock stores a lock, and gives the one that is in its way, if there is one that holds and is somebody else's: then nothing
// was changed. One's own lock is replaced.
func (j *Journal) Lock(ctx context.Context, l fleet.Lock) (other *fleet.Lock, err error) {
	defer wrap(&err, "lock %s %s", l.App, l.Group)
	body, err := encoded(l)
	if err != nil {
		return nil, err
	}
	err = j.write(ctx, func(ctx context.Context, t *tx) error {
		present, err := one(ctx, t, decoded[fleet.Lock], `SELECT body FROM locks WHERE app = ? AND grp = ?`, l.App, l.Group)
		gone, err := absent(err)
		if err != nil {
			return err
		}
		if !gone && present.Owner != l.Owner && present.Holds(l.Since) {
			other = &present
			return nil
		}
		_, err = t.exec(ctx, `INSERT INTO locks (app, grp, until, body) VALUES (?, ?, ?, ?)
			ON CONFLICT (app, grp) DO UPDATE SET until = excluded.until, body = excluded.body`, l.App, l.Group, nanos(l.Until), body)
		return err
	})
	return other, err
}

// Unlock removes a lock. ErrNotFound says that there is none.
func (j *Journal) Unlock(ctx context.Context, app fleet.AppName, group fleet.GroupName) (err error) {
	defer wrap(&err, "unlock %s %s", app, group)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		return t.must(ctx, `DELETE FROM locks WHERE app = ? AND grp = ?`, app, group)
	})
}

// Locks lists the locks that hold at an instant.
func (j *Journal) Locks(ctx context.Context, now time.Time) (list []fleet.Lock, err error) {
	defer wrap(&err, "list locks")
	return all(ctx, j, decoded[fleet.Lock], `SELECT body FROM locks WHERE until = 0 OR until > ? ORDER BY app, grp`, nanos(now))
}
