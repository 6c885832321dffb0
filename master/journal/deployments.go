package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	body, err := encoded(d)
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

// SaveDeployment stores a deployment that has begun, with the records. Once it has ended its group is free.
func (j *Journal) SaveDeployment(ctx context.Context, d *fleet.Deployment, records ...fleet.Record) (err error) {
	defer wrap(&err, "save deployment %s", d.ID)
	body, err := encoded(d)
	if err != nil {
		return err
	}
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		err := t.must(ctx, `UPDATE deployments SET ended = ?, body = ? WHERE id = ?`, d.Status.Ended(), body, d.ID)
		if err != nil {
			return err
		}
		return t.append(ctx, records...)
	})
}

// Deployment returns one deployment, or ErrNotFound.
func (j *Journal) Deployment(ctx context.Context, id fleet.DeploymentID) (d *fleet.Deployment, err error) {
	defer wrap(&err, "find deployment %s", id)
	return one(ctx, j, decoded[*fleet.Deployment], `SELECT body FROM deployments WHERE id = ?`, id)
}

// Deployments returns the deployments that f selects, newest first.
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
	return all(ctx, j, decoded[*fleet.Deployment],
		`SELECT body FROM deployments WHERE NOT ended ORDER BY created, id`)
}
