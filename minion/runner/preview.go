package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// preview says what an order would do on this host, and touches nothing: its root is not even made, no script is run. The
// archive is fetched, since what is in it decides, and thrown away. What a script would change it cannot know.
func (r *Runner) preview(ctx context.Context, job fleet.JobID, order fleet.ReleaseOrder) (res fleet.ReleaseResult, err error) {
	s, err := lookAt(order)
	if err != nil {
		return res, err
	}
	res = untouched(order)
	d := &deploy{r: r, site: s, order: order, j: newJournal(job, order)}
	if s.root != nil {
		defer s.root.Close()
		if err := sameLayout(s.root, order); err != nil {
			return res, err
		}
		if d.old, err = s.live(); err != nil {
			return res, err
		}
	}
	if d.layout, err = newLayout(order); err != nil {
		return res, err
	}
	if res.Skipped = d.nothingToDo(); res.Skipped != "" {
		return res, nil
	}
	lines, err := d.preview(ctx)
	if n := len(lines) - fleet.MaxChanges; n > 0 {
		lines = append(lines[:fleet.MaxChanges], fmt.Sprintf("and %d changes more", n))
	}
	res.Changes = lines
	return res, err
}

func (d *deploy) preview(ctx context.Context) ([]string, error) {
	tree, lines, err := d.previewTree(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = tree.Close()
		_ = d.r.state.RemoveAll(d.previewDir())
	}()
	next, notes, err := readScripts(tree, &record{Hooks: d.order.Hooks, Group: d.order.Group}, d.order)
	if err != nil {
		return nil, err
	}
	lines = append(lines, notes...)
	if d.site.root != nil {
		if err := d.layout.check(d, tree); err != nil {
			return nil, err
		}
	}
	if d.old != nil {
		old, err := d.scriptsOf(d.old)
		if err != nil {
			return nil, err
		}
		lines = append(lines, old.announce(" of the live release", fleet.BeforeBlockTraffic, fleet.AfterBlockTraffic, fleet.ApplicationStop)...)
	}
	lines = append(lines, next.announce("", fleet.BeforeInstall)...)
	changes, err := d.layout.changes(d, tree)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		lines = append(lines, string(fleet.Install)+": "+c)
	}
	lines = append(lines, next.announce("", fleet.AfterInstall)...)
	lines = append(lines, "make revision "+d.order.Revision.Digest.Short()+" live"+d.instead())
	lines = append(lines, next.announce("", fleet.ApplicationStart, fleet.ValidateService, fleet.BeforeAllowTraffic, fleet.AfterAllowTraffic)...)
	pruned, err := d.previewPrune()
	return append(lines, pruned...), err
}

// previewPrune says which releases would go once the next one is live.
func (d *deploy) previewPrune() (out []string, err error) {
	if d.site.root == nil {
		return nil, nil
	}
	releases, err := d.site.all()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	kept, err := d.kept()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if kept == nil {
		kept = &record{Good: true}
		releases = append(releases, kept)
	}
	for _, rec := range expendable(releases, kept.ID, d.order.Keep, false) {
		out = append(out, "remove release "+rec.ID)
	}
	return out, nil
}

func (d *deploy) instead() string {
	if digest := d.old.digest(); digest != "" {
		return " in place of " + digest.Short()
	}
	return ""
}

// announce says which scripts would run.
func (f scripts) announce(whose string, events ...fleet.LifecycleEvent) (out []string) {
	for _, event := range appspec.Scripted() {
		for _, wanted := range events {
			for _, s := range f[event] {
				if event == wanted {
					out = append(out, fmt.Sprintf("%s: run %s%s", event, s.name, whose))
				}
			}
		}
	}
	return out
}

// previewTree opens the release that is kept, or unpacks the archive where nobody looks.
func (d *deploy) previewTree(ctx context.Context) (*os.Root, []string, error) {
	if d.site.root != nil {
		kept, err := d.kept()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		if kept != nil {
			tree, err := d.site.root.OpenRoot(d.site.tree(kept.ID))
			return tree, []string{"take release " + kept.ID + ", which is kept"}, err
		}
	}
	dir := d.previewDir()
	if err := errors.Join(d.r.state.RemoveAll(dir), d.r.state.MkdirAll(dir, 0o700)); err != nil {
		return nil, nil, fmt.Errorf("make room for a test: %w", err)
	}
	if _, err := d.r.fetch.Unpack(ctx, d.order, filepath.Join(d.r.cfg.StateDir, dir)); err != nil {
		return nil, nil, errors.Join(err, d.r.state.RemoveAll(dir))
	}
	tree, err := d.r.state.OpenRoot(dir)
	return tree, []string{"fetch revision " + d.order.Revision.Digest.Short()}, err
}

// testsDir has the archives that are unpacked for a test.
const testsDir = "tests"

func (d *deploy) previewDir() string { return path.Join(testsDir, string(d.j.Job)) }
