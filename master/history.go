package master

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/brine-deploy/brine/master/source"
	sources "github.com/brine-deploy/brine/master/source/all"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// maxCommits bounds how many commits a difference lists.
const maxCommits = 100

// between says what lies between two origins. A source that keeps no history, or has lost it, gives nothing.
func (r *revisions) between(ctx context.Context, app fleet.Application, from, to string) (fleet.Diff, error) {
	var d fleet.Diff
	if from == "" || to == "" || from == to {
		return d, nil
	}
	src, err := sources.New(app.Source, filepath.Join(r.cacheDir, "sources"))
	if err != nil {
		return d, fmt.Errorf("source of %s: %w", app.Name, err)
	}
	historian, ok := src.(source.Historian)
	if !ok {
		return d, nil
	}
	if d.Added, d.Files, err = historian.Between(ctx, from, to, maxCommits); err != nil {
		return fleet.Diff{}, fmt.Errorf("history of %s: %w", app.Name, err)
	}
	d.Removed, _, err = historian.Between(ctx, to, from, maxCommits)
	return d, err
}

// getDiff compares two revisions, or refs.
func (m *Master) getDiff(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	app, err := m.apps.get(fleet.AppName(q.Get("app")), "")
	if err != nil {
		return nil, err
	}
	var ends [2]found
	for i, ref := range []string{q.Get("from"), q.Get("to")} {
		if ends[i], err = m.deployments.revisions.find(ctx, app, ref); err != nil {
			return nil, usage(err)
		}
	}
	d, err := m.deployments.revisions.between(ctx, app, ends[0].origin.Commit, ends[1].origin.Commit)
	d.From, d.To = ends[0].origin, ends[1].origin
	return d, err
}

// postCollect removes stored revisions that nobody needs.
func (m *Master) postCollect(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	app, err := m.apps.get(fleet.AppName(q.Get("app")), "")
	if err != nil {
		return nil, err
	}
	keep, err := strconv.Atoi(q.Get("keep"))
	if err != nil || keep < 1 {
		return nil, usage(fmt.Errorf("keep is a number from 1, not %q", q.Get("keep")))
	}
	return m.collect(ctx, app, keep, q.Get("dry") == "true", caller(ctx))
}

// collect removes all but the newest revisions of an application, and those that are in use: what is the target of a
// group or may be gone back to, what is live anywhere, and what a deployment is about that has not ended.
func (m *Master) collect(ctx context.Context, app fleet.Application, keep int, dry bool, by string) (fleet.Collected, error) {
	m.deployments.revisions.building.Lock() // nobody is between a revision's being found and its being deployed
	defer m.deployments.revisions.building.Unlock()
	all, err := m.journal.Revisions(ctx, app.Name)
	if err != nil {
		return fleet.Collected{}, err
	}
	used, err := m.journal.UsedRevisions(ctx, app.Name)
	if err != nil {
		return fleet.Collected{}, err
	}
	newest := map[fleet.Digest]bool{}
	for _, rev := range all {
		if len(newest) < keep {
			newest[rev.Digest] = true
		}
	}
	out := fleet.Collected{Removed: []fleet.Revision{}, Dry: dry}
	gone := map[fleet.Digest]bool{}
	for _, rev := range all {
		if newest[rev.Digest] || used[rev.Digest] || gone[rev.Digest] {
			continue
		}
		gone[rev.Digest] = true
		out.Removed = append(out.Removed, rev)
		out.Bytes += rev.Stored
		if dry {
			continue
		}
		if err := m.journal.ForgetRevision(ctx, app.Name, rev.Digest); err != nil {
			return out, err
		}
		if err := m.store.Delete(ctx, rev); err != nil {
			return out, fmt.Errorf("remove %s from the store: %w", rev.Digest.Short(), err)
		}
		m.log.Info("revision removed", "app", app.Name, "revision", rev.Digest.Short(), "by", by, "built", rev.Built.Format(time.RFC3339))
	}
	out.Kept = len(newest)
	for digest := range used {
		if !newest[digest] {
			out.Kept++
		}
	}
	return out, nil
}
