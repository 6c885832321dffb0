package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

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
				err, filepath.Join(d.site.dir, d.old.dir()), currentLink)
		}
	}
	kept, err := d.kept()
	if err != nil {
		return err
	}
	if kept != nil {
		d.next, d.j.Release, d.j.Reused = kept, kept.ID, true
		return d.enter(fetching)
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

// fetch downloads, unpacks and checks the new release, and only then gives it its place.
func (d *deploy) fetch(ctx context.Context) (notes []string, err error) {
	free := freeBytes(d.site.dir)
	if free < d.order.Revision.Size {
		return nil, d.diskFull(free)
	}
	staging := path.Join(stagingDir, string(d.j.Job))
	if err := d.site.root.Mkdir(staging, 0o755); err != nil {
		return nil, fmt.Errorf("make staging: %w", err)
	}
	if err := d.site.root.Chmod(staging, 0o755); err != nil {
		return nil, fmt.Errorf("make staging: %w", err)
	}
	if err := d.unpack(ctx, staging); errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil, d.diskFull(free)
	} else if err != nil {
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
	if err := checkShared(tree, o.Shared); err != nil {
		return nil, err
	}
	d.next = rec
	d.remember(rec, found)
	return notes, d.place(staging)
}

func (d *deploy) unpack(ctx context.Context, staging string) error {
	sealed, err := d.r.open(ctx, d.order.URL)
	if err != nil {
		return err
	}
	defer sealed.Close()
	var plain io.Reader
	if plain, err = archive.Open(sealed, d.order.Identity); err == nil {
		err = archive.Unpack(ctx, plain, filepath.Join(d.site.dir, staging), d.order.Revision.Digest, archive.Limits{})
	}
	if sealed.err != nil {
		return sealed.err // clearer than what the decoder makes of it
	}
	if errors.Is(err, archive.ErrAltered) || errors.Is(err, archive.ErrDigest) {
		return fmt.Errorf("%w; remove it from the store and deploy its ref, which builds it again", err)
	}
	return err
}

// place makes the release visible; its record comes first, so that a release without one is not ours.
func (d *deploy) place(staging string) error {
	if err := d.site.save(d.next); err != nil {
		return err
	}
	d.r.reached("recorded")
	if err := d.site.root.Rename(staging, d.next.dir()); err != nil {
		return fmt.Errorf("place release: %w", err)
	}
	d.r.reached("placed")
	return syncDir(d.site.root, releasesDir)
}

func (d *deploy) diskFull(free int64) error {
	return fmt.Errorf("disk full on %s: needs more than the %s that were free (the packed archive alone has %s): make room there, or lower keep",
		d.site.dir, size(free), size(d.order.Revision.Size))
}

// freeBytes is what this process may still write.
func freeBytes(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 1 << 62 // unknown: writing will tell
	}
	blocks := st.Bavail
	if os.Geteuid() == 0 {
		blocks = st.Bfree
	}
	return int64(blocks) * st.Bsize //nolint:gosec // no file system is as big
}

func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
