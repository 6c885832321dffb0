package journal

import (
	"context"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// AddRevision stores a revision that was built. The same archive may come from several commits or recipes: each is kept.
func (j *Journal) AddRevision(ctx context.Context, r fleet.Revision) (err error) {
	defer wrap(&err, "add revision %s of %s", r.Digest.Short(), r.App)
	body, err := encoded(r)
	if err != nil {
		return err
	}
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO revisions (app, digest, revision, recipe, built, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (app, digest, revision, recipe) DO UPDATE SET built = excluded.built, body = excluded.body`,
			r.App, r.Digest, r.Origin.Commit, r.Recipe, nanos(r.Built), body)
		return err
	})
}

// Revision returns an application's revision by its digest, the newest origin of it, or ErrNotFound.
func (j *Journal) Revision(ctx context.Context, app fleet.AppName, digest fleet.Digest) (r fleet.Revision, err error) {
	defer wrap(&err, "find revision %s of %s", digest.Short(), app)
	return one(ctx, j, decoded[fleet.Revision],
		`SELECT body FROM revisions WHERE app = ? AND digest = ? ORDER BY built DESC LIMIT 1`, app, digest)
}

// FindRevision returns the newest revision that was built from a commit by a recipe, or ErrNotFound.
func (j *Journal) FindRevision(ctx context.Context, app fleet.AppName, commit, recipe string) (r fleet.Revision, err error) {
	defer wrap(&err, "find revision of %s at %s", app, commit)
	return one(ctx, j, decoded[fleet.Revision],
		`SELECT body FROM revisions WHERE app = ? AND revision = ? AND recipe = ? ORDER BY built DESC LIMIT 1`,
		app, commit, recipe)
}

// Revisions returns an application's revisions, newest first.
func (j *Journal) Revisions(ctx context.Context, app fleet.AppName) (list []fleet.Revision, err error) {
	defer wrap(&err, "list revisions of %s", app)
	return all(ctx, j, decoded[fleet.Revision],
		`SELECT body FROM revisions WHERE app = ? ORDER BY built DESC, digest`, app)
}

// ForgetRevision removes a revision, with all the commits and recipes that gave it.
func (j *Journal) ForgetRevision(ctx context.Context, app fleet.AppName, digest fleet.Digest) (err error) {
	defer wrap(&err, "forget revision %s of %s", digest.Short(), app)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM revisions WHERE app = ? AND digest = ?`, app, digest)
		return err
	})
}

// keptTargets is how many targets of each group, the present one included, can be gone back to.
const keptTargets = 5

// UsedRevisions returns what must not be forgotten: the latest targets of each group, what is live, and what unended
// deployments bring or may go back to.
func (j *Journal) UsedRevisions(ctx context.Context, app fleet.AppName) (used map[fleet.Digest]bool, err error) {
	defer wrap(&err, "list revisions of %s in use", app)
	used = map[fleet.Digest]bool{}
	digests, err := all(ctx, j, column[fleet.Digest], `SELECT digest FROM targets t WHERE app = ?
		AND n > (SELECT MAX(n) FROM targets WHERE app = t.app AND grp = t.grp) - ?
		UNION SELECT digest FROM live WHERE app = ?`, app, keptTargets, app)
	if err != nil {
		return nil, err
	}
	for _, digest := range digests {
		used[digest] = true
	}
	unended, err := j.Unended(ctx)
	for _, d := range unended {
		if d.App != app {
			continue
		}
		used[d.Previous] = true
		if d.Revision != nil {
			used[d.Revision.Digest] = true
		}
	}
	delete(used, "")
	return used, err
}
