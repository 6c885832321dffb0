package journal

import (
	"context"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Target returns the revision that a group's newcomers get, or ErrNotFound.
func (j *Journal) Target(ctx context.Context, app fleet.AppName, group fleet.GroupName) (d fleet.Digest, err error) {
	defer wrap(&err, "find target of %s %s", app, group)
	return target(ctx, j, app, group)
}

// SetTarget makes digest what a group's newcomers get, and keeps what was before. The present one again changes nothing.
func (j *Journal) SetTarget(
	ctx context.Context, app fleet.AppName, group fleet.GroupName, digest fleet.Digest, by fleet.DeploymentID,
) (err error) {
	defer wrap(&err, "set target of %s %s", app, group)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		present, err := target(ctx, t, app, group)
		if _, err := absent(err); err != nil || present == digest {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO targets (app, grp, n, digest, deployment, since)
			SELECT ?, ?, COALESCE(MAX(n), 0) + 1, ?, ?, ? FROM targets WHERE app = ? AND grp = ?`,
			app, group, digest, by, nanos(time.Now()), app, group)
		return err
	})
}

// LastGood returns the latest target of a group that is not the given one: what to go back to from it. ErrNotFound when
// there was no other.
func (j *Journal) LastGood(
	ctx context.Context, app fleet.AppName, group fleet.GroupName, not fleet.Digest,
) (d fleet.Digest, err error) {
	defer wrap(&err, "find what %s %s had before", app, group)
	return one(ctx, j, column[fleet.Digest],
		`SELECT digest FROM targets WHERE app = ? AND grp = ? AND digest <> ? ORDER BY n DESC LIMIT 1`, app, group, not)
}

// Live returns what is live on each minion of a group, as far as it is known.
func (j *Journal) Live(
	ctx context.Context, app fleet.AppName, group fleet.GroupName,
) (live map[fleet.MinionID]fleet.Digest, err error) {
	defer wrap(&err, "list what is live in %s %s", app, group)
	live = map[fleet.MinionID]fleet.Digest{}
	_, err = all(ctx, j, func(scan scanner) (none struct{}, err error) {
		var id fleet.MinionID
		var digest fleet.Digest
		err = scan(&id, &digest)
		live[id] = digest
		return none, err
	}, `SELECT minion, digest FROM live WHERE app = ? AND grp = ?`, app, group)
	return live, err
}

// SetLive writes down what is live on minions; an empty digest means nothing is, or that it is not known.
func (j *Journal) SetLive(
	ctx context.Context, app fleet.AppName, group fleet.GroupName, live map[fleet.MinionID]fleet.Digest,
) (err error) {
	defer wrap(&err, "set what is live in %s %s", app, group)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		now := nanos(time.Now())
		var rows [][]any
		for minion, digest := range live {
			if digest != "" {
				rows = append(rows, []any{app, group, minion, digest, now})
				continue
			}
			if _, err := t.exec(ctx, `DELETE FROM live WHERE app = ? AND grp = ? AND minion = ?`, app, group, minion); err != nil {
				return err
			}
		}
		return t.insert(ctx, `INSERT INTO live (app, grp, minion, digest, since)`, rows,
			` ON CONFLICT (app, grp, minion) DO UPDATE SET digest = excluded.digest, since = excluded.since`)
	})
}

func target(ctx context.Context, q querier, app fleet.AppName, group fleet.GroupName) (fleet.Digest, error) {
	return one(ctx, q, column[fleet.Digest],
		`SELECT digest FROM targets WHERE app = ? AND grp = ? ORDER BY n DESC LIMIT 1`, app, group)
}
