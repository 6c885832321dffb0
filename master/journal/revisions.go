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
