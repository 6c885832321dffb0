package runner

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// prepare gets the new release into its place, whole and checked. Nothing of the live one is touched: bad input stops no
// running application. Hence DownloadBundle comes before ApplicationStop here, unlike on CodeDeploy.
func (d *deploy) prepare(ctx context.Context) error {
	if err := d.site.sweep(); err != nil {
		return err
	}
	if d.old != nil {
		if _, err := d.scriptsOf(d.old); err != nil {
			return fmt.Errorf("live release: %w (mend it in %s, or remove the link %s to deploy as if for the first time)",
				err, d.site.path(d.old), d.site.pointer)
		}
	}
	kept, err := d.kept()
	if err != nil {
		return err
	}
	if kept != nil {
		d.next, d.j.Release, d.j.Reused = kept, kept.ID, true
		return errors.Join(d.checkKept(), d.enter(fetching))
	}
	d.j.Release = d.newID()
	if err := d.enter(fetching); err != nil {
		return err
	}
	return d.event(fleet.EventResult{Event: fleet.DownloadBundle}, func(e *fleet.EventResult) error {
		notes, err := d.fetch(ctx)
		e.Tail = strings.Join(notes, "\n")
		if err != nil {
			if line := oneLine(err).Error(); line != err.Error() {
				e.Tail = err.Error() // with the line of the user's file
			}
			return err
		}
		return nil
	})
}

// kept returns a good release of the ordered revision that is still here, so that a rollback downloads nothing.
func (d *deploy) kept() (*record, error) {
	if d.order.Force {
		return nil, nil
	}
	releases, err := d.site.all()
	if err != nil {
		return nil, err
	}
	for _, rec := range releases {
		if !rec.Good || rec.Digest != d.order.Revision.Digest {
			continue
		}
		rec.Hooks, rec.Group = d.order.Hooks, d.order.Group
		if _, err := d.scriptsOf(rec); err != nil {
			d.r.cfg.Log.Warn("kept release is not whole any more", "release", rec.ID, "error", err)
			continue
		}
		return rec, nil
	}
	return nil, nil
}

func (d *deploy) checkKept() error {
	tree, err := d.site.root.OpenRoot(d.site.tree(d.next.ID))
	if err != nil {
		return fmt.Errorf("open release %s: %w", d.next.ID, err)
	}
	defer tree.Close()
	return d.layout.check(d, tree)
}

// fetch downloads, unpacks and checks the new release, and only then gives it its place.
func (d *deploy) fetch(ctx context.Context) (notes []string, err error) {
	if err := d.r.fetch.CheckRoom(d.order); err != nil {
		return nil, err
	}
	staging := path.Join(d.site.staging, string(d.j.Job))
	if err := d.site.root.Mkdir(staging, 0o755); err != nil {
		return nil, fmt.Errorf("make staging: %w", err)
	}
	if err := d.site.root.Chmod(staging, 0o755); err != nil {
		return nil, fmt.Errorf("make staging: %w", err)
	}
	way, err := d.unpack(ctx, staging)
	if err != nil {
		return nil, err
	}
	d.r.reached("unpacked")
	tree, err := d.site.root.OpenRoot(staging)
	if err != nil {
		return nil, fmt.Errorf("open staging: %w", err)
	}
	defer tree.Close()
	o := d.order
	rec := &record{
		ID: d.j.Release, App: o.App, Group: o.Group, Digest: o.Revision.Digest, Origin: o.Revision.Origin,
		Deployment: o.Deployment, Job: d.j.Job, Hooks: o.Hooks,
	}
	found, notes, err := readScripts(tree, rec, o)
	if err != nil {
		return nil, err
	}
	if err := d.layout.check(d, tree); err != nil {
		return nil, err
	}
	if way != "" {
		notes = append(notes, way)
	}
	d.next = rec
	d.remember(rec, found)
	return notes, d.place(staging)
}

// unpack gets the tree, and tells of the way that it came.
func (d *deploy) unpack(ctx context.Context, staging string) (string, error) {
	way, err := d.r.fetch.Unpack(ctx, d.order, filepath.Join(d.site.dir, staging))
	if errors.Is(err, archive.ErrAltered) || errors.Is(err, archive.ErrDigest) {
		return "", fmt.Errorf("%w; remove it from the store and deploy its ref, which builds it again", err)
	}
	return way, err
}

// place makes the release visible; its record comes first, so that a release without one is not ours.
func (d *deploy) place(staging string) error {
	if err := d.site.save(d.next); err != nil {
		return err
	}
	d.r.reached("recorded")
	if err := d.site.root.Rename(staging, d.site.tree(d.next.ID)); err != nil {
		return fmt.Errorf("place release: %w", err)
	}
	d.r.reached("placed")
	return syncDir(d.site.root, d.site.trees)
}
