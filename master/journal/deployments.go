package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// LockedError says that another deployment has the group.
type LockedError struct {
	Holder fleet.Deployment
}

// Error names the holder, for people.
func (e *LockedError) Error() string {
	h := e.Holder
	return fmt.Sprintf("%s %s is locked by deployment %s of %s since %s",
		h.App, h.Group, h.ID, h.By, h.Created.Local().Format(time.RFC3339))
}

// Filter selects deployments. What is empty does not matter.
type Filter struct {
	App   fleet.AppName
	Group fleet.GroupName
	Limit int // 100 when zero
}

const notEnded = `NOT ended AND kind <> 'newcomer'` // as in the index that is the lock

// BeginDeployment stores a new deployment, with the records, and takes its group's lock, which it holds until it is saved
// as ended. A *LockedError says who has it already. Newcomers' deployments neither take the lock nor care for it.
func (j *Journal) BeginDeployment(ctx context.Context, d *fleet.Deployment, records ...fleet.Record) (err error) {
	defer func() {
		if !errors.As(err, new(*LockedError)) { // its message is for people as it is
			wrap(&err, "begin deployment %s", d.ID)
		}
	}()
	body, err := header(d)
	if err != nil {
		return err
	}
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, `INSERT INTO deployments (id, app, grp, kind, ended, created, body)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			d.ID, d.App, d.Group, d.Kind, d.Status.Ended(), nanos(d.Created), body)
		if err != nil {
			return err
		}
		if n == 0 {
			return t.refusal(ctx, d)
		}
		if err := t.saveProgress(ctx, d, d.Minions); err != nil {
			return err
		}
		return t.append(ctx, records...)
	})
}

// refusal says why a deployment could not be inserted.
func (t *tx) refusal(ctx context.Context, d *fleet.Deployment) error {
	holder, err := one(ctx, t, decoded[fleet.Deployment],
		`SELECT body FROM deployments WHERE app = ? AND grp = ? AND `+notEnded, d.App, d.Group)
	switch {
	case errors.Is(err, ErrNotFound) || holder.ID == d.ID:
		return errors.New("it has begun before")
	case err != nil:
		return err
	default:
		return &LockedError{Holder: holder}
	}
}

// SaveDeployment stores a deployment that has begun, those of its minions that have changed, and the records. Once it has
// ended its group is free. The changed minions are some of d's; their places in d must stay as they were first saved.
func (j *Journal) SaveDeployment(ctx context.Context, d *fleet.Deployment, changed []*fleet.MinionProgress, records ...fleet.Record) (err error) {
	defer wrap(&err, "save deployment %s", d.ID)
	body, err := header(d)
	if err != nil {
		return err
	}
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		err := t.must(ctx, `UPDATE deployments SET ended = ?, body = ? WHERE id = ?`, d.Status.Ended(), body, d.ID)
		if err != nil {
			return err
		}
		if err := t.saveProgress(ctx, d, changed); err != nil {
			return err
		}
		return t.append(ctx, records...)
	})
}

// header is a deployment without its minions, encoded.
func header(d *fleet.Deployment) (string, error) {
	bare := *d
	bare.Minions = nil
	return encoded(bare)
}

// saveProgress stores minions of a deployment. One that is new there has its place from where it is among all.
func (t *tx) saveProgress(ctx context.Context, d *fleet.Deployment, changed []*fleet.MinionProgress) error {
	places := map[fleet.MinionID]int{}
	if len(changed) > 1 {
		for n, m := range d.Minions {
			places[m.Minion] = n
		}
	}
	rows := make([][]any, 0, len(changed))
	for _, m := range changed {
		body, err := encoded(m)
		if err != nil {
			return err
		}
		rows = append(rows, []any{d.ID, m.Minion, places[m.Minion], body})
	}
	if len(rows) == 1 && len(d.Minions) > 1 {
		n, err := t.exec(ctx, `UPDATE progress SET body = ? WHERE deployment = ? AND minion = ?`, rows[0][3], d.ID, rows[0][1])
		if err != nil || n == 1 {
			return err
		}
		rows[0][2] = slices.Index(d.Minions, changed[0])
	}
	return t.insert(ctx, `INSERT INTO progress (deployment, minion, n, body)`, rows,
		` ON CONFLICT (deployment, minion) DO UPDATE SET body = excluded.body`)
}

// Deployment returns one deployment, or ErrNotFound.
func (j *Journal) Deployment(ctx context.Context, id fleet.DeploymentID) (d *fleet.Deployment, err error) {
	defer wrap(&err, "find deployment %s", id)
	if d, err = one(ctx, j, decoded[*fleet.Deployment], `SELECT body FROM deployments WHERE id = ?`, id); err != nil {
		return nil, err
	}
	return d, j.addProgress(ctx, d)
}

func (j *Journal) addProgress(ctx context.Context, d *fleet.Deployment) error {
	minions, err := all(ctx, j, decoded[*fleet.MinionProgress], `SELECT body FROM progress WHERE deployment = ? ORDER BY n`, d.ID)
	if len(minions) > 0 {
		d.Minions = minions
	}
	return err
}

// Progress returns one minion's part in a deployment, or ErrNotFound.
func (j *Journal) Progress(ctx context.Context, id fleet.DeploymentID, minion fleet.MinionID) (m *fleet.MinionProgress, err error) {
	defer wrap(&err, "find %s in deployment %s", minion, id)
	return one(ctx, j, decoded[*fleet.MinionProgress], `SELECT body FROM progress WHERE deployment = ? AND minion = ?`, id, minion)
}

// Deployments returns the deployments that f selects, newest first, without their minions.
func (j *Journal) Deployments(ctx context.Context, f Filter) (list []*fleet.Deployment, err error) {
	defer wrap(&err, "list deployments")
	query, args := `SELECT body FROM deployments WHERE TRUE`, []any{}
	if f.App != "" {
		query, args = query+` AND app = ?`, append(args, f.App)
	}
	if f.Group != "" {
		query, args = query+` AND grp = ?`, append(args, f.Group)
	}
	return all(ctx, j, decoded[*fleet.Deployment],
		query+` ORDER BY created DESC, id DESC LIMIT ?`, append(args, cmp.Or(f.Limit, 100))...)
}

// Unended returns the deployments that have not ended, newcomers' too, oldest first: those that a restarted master
// goes on with.
func (j *Journal) Unended(ctx context.Context) (list []*fleet.Deployment, err error) {
	defer wrap(&err, "list deployments that have not ended")
	list, err = all(ctx, j, decoded[*fleet.Deployment], `SELECT body FROM deployments WHERE NOT ended ORDER BY created, id`)
	for _, d := range list {
		err = errors.Join(err, j.addProgress(ctx, d))
	}
	return list, err
}

// ServingSide returns the side of a blue/green group that was switched to last, or an empty one.
func (j *Journal) ServingSide(ctx context.Context, app fleet.AppName, group fleet.GroupName) (fleet.Side, error) {
	const enough = 200 // without a switch among so many the group is no longer blue/green
	recent, err := j.Deployments(ctx, Filter{App: app, Group: group, Limit: enough})
	for _, d := range recent {
		if d.Switched {
			return d.Side, err
		}
	}
	return "", err
}
