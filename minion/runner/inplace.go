package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/brine-deploy/brine/minion/inplace"
	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// placing is the layout appspec: the section files of a release's appspec.yml says what goes where on this host. The root
// has only what is needed for that.
//
//	ROOT/.brine/trees/ID/        a release as it came; its scripts are run there
//	ROOT/.brine/live             relative symlink to the release that is installed
//	ROOT/.brine/installed.json   what belongs to it on this host; package inplace
//	ROOT/.brine/undo/            while a release is on trial: what it replaced
type placing struct{}

var _ layout = placing{}

// placedUmask is that of the agent: a daemon's own must not show in what it installs.
const placedUmask = 0o022

func newPlacing(o fleet.ReleaseOrder) (layout, error) {
	if len(o.Shared) > 0 {
		return nil, errors.New("order: layout appspec has no shared paths: its files section says what goes where")
	}
	if exists := appspec.Exists(o.Exists); exists != "" && !exists.Valid() {
		return nil, fmt.Errorf("order: invalid file_exists_behavior %q", o.Exists)
	}
	return placing{}, nil
}

func (placing) places() places {
	return places{
		trees: privateDir + "/trees", staging: privateDir + "/staging", pointer: privateDir + "/live", target: "trees", next: privateDir + "/live.new",
		dirs: []dir{{privateDir, 0o711}, {privateDir + "/staging", 0o700}, {privateDir + "/trees", 0o711}},
	}
}

func (placing) installation(d *deploy) inplace.Installation {
	private, times := filepath.Join(d.site.dir, privateDir), map[string]int{}
	reached := func(step string) { // two of a kind are enough for the tests
		if times[step]++; times[step] <= 2 {
			d.r.reached(step)
		}
	}
	return inplace.Installation{
		File: filepath.Join(private, "installed.json"), Undo: filepath.Join(private, "undo"), Umask: placedUmask, Reached: reached,
	}
}

// check looks at the host too, unless a script of BeforeInstall may be about to change it.
func (p placing) check(d *deploy, tree *os.Root) error {
	spec, err := appspec.Load(tree.FS())
	if err != nil {
		return err
	}
	if len(spec.Files) == 0 && len(spec.Permissions) == 0 && len(spec.Hooks) == 0 {
		return errors.New("layout appspec: the archive has no appspec.yml, or one that does nothing")
	}
	if err := inplace.CheckRevision(spec, tree); err != nil {
		return err
	}
	next, _, err := readScripts(tree, &record{Hooks: d.order.Hooks, Group: d.order.Group}, d.order)
	if err != nil || len(next[fleet.BeforeInstall]) > 0 {
		return err
	}
	if err := inplace.CheckPermissions(spec); err != nil {
		return err
	}
	_, err = p.plan(d, spec, tree)
	return err
}

func (p placing) plan(d *deploy, spec *appspec.Spec, tree *os.Root) (*appspec.Plan, error) {
	return p.installation(d).Plan(spec, tree, cmp.Or(spec.Exists, appspec.Exists(d.order.Exists), appspec.Disallow))
}

func (p placing) install(ctx context.Context, d *deploy) error {
	if err := p.back(d); err != nil { // what an earlier try began
		return err
	}
	tree, err := d.site.root.OpenRoot(d.site.tree(d.next.ID))
	if err != nil {
		return fmt.Errorf("open release: %w", err)
	}
	defer tree.Close()
	spec, err := appspec.Load(tree.FS())
	if err != nil {
		return err
	}
	if err := inplace.CheckPermissions(spec); err != nil {
		return err
	}
	plan, err := p.plan(d, spec, tree)
	if err != nil {
		return err
	}
	return p.installation(d).Run(ctx, plan, tree)
}

func (p placing) back(d *deploy) error { return p.installation(d).Back() }

func (p placing) settle(d *deploy) error { return p.installation(d).Settle() }

func (placing) workDir(d *deploy, rec *record, _ fleet.LifecycleEvent) string {
	return d.site.path(rec)
}

func (p placing) changes(d *deploy, tree *os.Root) ([]string, error) {
	spec, err := appspec.Load(tree.FS())
	if err != nil {
		return nil, err
	}
	plan, err := p.plan(d, spec, tree)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, o := range plan.Remove {
		out = append(out, "remove "+o.Path)
	}
	for _, s := range plan.Steps {
		if !s.Kept {
			out = append(out, string(s.Do)+" "+s.Path)
		}
	}
	for _, s := range plan.Settings {
		out = append(out, "set permissions of "+s.Path)
	}
	return out, nil
}
