package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/brine-deploy/brine/pkg/exclude"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// copying is the layout that makes the root itself equal to the archive.
//
//	ROOT/...                   the application, with whatever else is there
//	ROOT/.brine/trees/ID/      a release as it came; scripts are run from here, in ROOT
//	ROOT/.brine/live           relative symlink to the release that ROOT is equal to
//	ROOT/.brine/undo/          while a release is on trial: the plan, and what was in the way of it
//	ROOT/.brine/failed/ID/     what was in the place of the old release's files when a failed one was taken back
//
// The plan is written down before the first change. Every file takes its place by a rename; what it replaces gets a second
// name in undo before. So a dead minion's successor can always put back exactly what was there, inodes and all: that is what
// it does, unless the release had been validated.
type copying struct {
	exclude exclude.Patterns
	delete  bool
}

var _ layout = copying{}

const (
	undoDir  = privateDir + "/undo"
	planFile = undoDir + "/plan.json"
)

func newCopying(o fleet.ReleaseOrder) (layout, error) {
	var c copying
	if len(o.Shared) > 0 {
		return nil, errors.New("order: layout copy has no shared paths: exclude them")
	}
	if o.Copy == nil {
		return c, nil
	}
	var err error
	if c.exclude, err = exclude.Compile(o.Copy.Exclude); err != nil {
		return nil, fmt.Errorf("order: copy.exclude: %w", err)
	}
	c.delete = o.Copy.Delete
	return c, nil
}

func (copying) places() places {
	return places{
		trees: privateDir + "/trees", staging: privateDir + "/staging", pointer: privateDir + "/live", target: "trees", next: privateDir + "/live.new",
		// Scripts that run as somebody get through, and see nothing on the way.
		dirs: []dir{{privateDir, 0o711}, {privateDir + "/staging", 0o700}, {privateDir + "/trees", 0o711}},
	}
}

// plan is what undo/plan.json holds.
type plan struct {
	Release string `json:"release"`
	Steps   []step `json:"steps"`
}

// check makes the plan to see whether one can be made. BeforeInstall may change the root yet.
func (c copying) check(d *deploy, tree *os.Root) error {
	if _, err := tree.Lstat(privateDir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the archive has %s, which is brine's own in a root of layout copy", privateDir)
	}
	_, err := c.plan(d, tree)
	return err
}

// plan compares the root with the tree of a release.
func (c copying) plan(d *deploy, tree *os.Root) ([]step, error) {
	p := &planner{copying: c, root: d.site.root, tree: tree, wanted: map[string]fs.FileMode{}, fresh: map[string]bool{}}
	if d.old != nil {
		old, err := d.site.root.OpenRoot(d.site.tree(d.old.ID))
		if err != nil {
			return nil, fmt.Errorf("open release %s: %w", d.old.ID, err)
		}
		defer old.Close()
		p.old = old
	}
	return p.plan()
}

func (c copying) changes(d *deploy, tree *os.Root) ([]string, error) {
	if d.site.root == nil {
		return []string{"make " + d.site.dir + " and copy all of the archive into it"}, nil
	}
	steps, err := c.plan(d, tree)
	out := make([]string, 0, len(steps))
	for _, s := range steps {
		out = append(out, s.String())
	}
	return out, err
}

func (copying) workDir(d *deploy, rec *record, event fleet.LifecycleEvent) string {
	if rec == d.next && event == fleet.BeforeInstall {
		return d.site.path(rec) // the root is the old release's still
	}
	return d.site.dir
}

func (c copying) install(ctx context.Context, d *deploy) error {
	if err := c.back(d); err != nil { // what an earlier try began
		return err
	}
	tree, err := d.site.root.OpenRoot(d.site.tree(d.next.ID))
	if err != nil {
		return fmt.Errorf("open release: %w", err)
	}
	defer tree.Close()
	steps, err := c.plan(d, tree)
	if err != nil {
		return err
	}
	if err := d.site.root.Mkdir(undoDir, 0o700); err != nil {
		return fmt.Errorf("make undo: %w", err)
	}
	if err := writeJSON(d.site.root, planFile, plan{d.next.ID, steps}); err != nil {
		return err
	}
	d.r.reached("planned")
	for i, s := range steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.prepare(d.site.root, tree, undo(i)); err != nil {
			return fmt.Errorf("copy %s: %w", s.Name, err)
		}
	}
	if err := syncTree(d.site.root); err != nil { // contents first, then names
		return err
	}
	d.r.reached("copied")
	for i, s := range steps {
		if err := s.do(d.site.root, undo(i)); err != nil {
			return fmt.Errorf("copy %s: %w", s.Name, err)
		}
		d.r.reached("replaced")
	}
	return nil
}

// back puts everything back in its place, the last step first.
func (copying) back(d *deploy) error {
	root := d.site.root
	var p plan
	switch err := readJSON(root, planFile, &p); {
	case errors.Is(err, fs.ErrNotExist):
		return dropUndo(d) // nothing was changed yet
	case err != nil:
		return err
	}
	for i, s := range slices.Backward(p.Steps) {
		if err := s.undo(root, undo(i), path.Join(failedDir, p.Release)); err != nil {
			return fmt.Errorf("put %s back: %w", filepath.Join(d.site.dir, s.Name), err)
		}
		d.r.reached("put back")
	}
	if err := syncTree(root); err != nil {
		return err
	}
	return dropUndo(d)
}

func (copying) settle(d *deploy) error { return dropUndo(d) }

// dropUndo takes undo out of sight at once.
func dropUndo(d *deploy) error {
	gone := path.Join(d.site.staging, "undo")
	if err := d.site.root.RemoveAll(gone); err != nil {
		return fmt.Errorf("drop undo: %w", err)
	}
	if err := d.site.root.Rename(undoDir, gone); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("drop undo: %w", err)
	}
	d.r.reached("undo dropped")
	if err := errors.Join(syncDir(d.site.root, privateDir), d.site.root.RemoveAll(gone)); err != nil {
		return fmt.Errorf("drop undo: %w", err)
	}
	return nil
}

// undo names step i in the undo directory.
func undo(i int) string { return fmt.Sprintf("%s/%06d", undoDir, i) }

// step is one change of the root.
type step struct {
	Kind stepKind `json:"kind"`
	Name string   `json:"name"`
	Old  bool     `json:"old,omitempty"` // something is in the way, and kept for undo
}

type stepKind string

const (
	makeDir stepKind = "mkdir"
	putFile stepKind = "put"
	remove  stepKind = "remove"
)

func (s step) String() string {
	switch {
	case s.Kind == makeDir && s.Old:
		return "replace " + s.Name + " by a directory"
	case s.Kind == makeDir:
		return "make directory " + s.Name
	case s.Kind == remove:
		return "remove " + s.Name
	case s.Old:
		return "replace " + s.Name
	default:
		return "add " + s.Name
	}
}

// prepare copies what is new, and gives what it replaces its second name. On a file system without hard links do does that,
// at the price of an instant without the file.
func (s step) prepare(root, tree *os.Root, at string) error {
	if s.Kind != putFile {
		return nil
	}
	if err := copyEntry(root, tree, s.Name, at+".new"); err != nil || !s.Old {
		return err
	}
	if info, err := root.Lstat(s.Name); err != nil || info.IsDir() {
		return err
	}
	_ = root.Link(s.Name, at+".old")
	return nil
}

func (s step) do(root *os.Root, at string) error {
	if _, err := root.Lstat(at + ".old"); s.Old && err != nil {
		if err := root.Rename(s.Name, at+".old"); err != nil {
			return err
		}
	}
	switch s.Kind {
	case makeDir:
		return errors.Join(root.Mkdir(s.Name, 0o755), root.Chmod(s.Name, 0o755))
	case putFile:
		return root.Rename(at+".new", s.Name)
	default:
		return nil
	}
}

// undo can be called at any state of its step, and again. What is in the way goes aside: hooks may have made it.
func (s step) undo(root *os.Root, at, aside string) error {
	now, err := root.Lstat(s.Name)
	there := err == nil
	if err != nil && !missing(err) {
		return err
	}
	old, err := root.Lstat(at + ".old")
	switch {
	case errors.Is(err, fs.ErrNotExist) && (s.Old || !there):
		return nil // not done, or undone
	case errors.Is(err, fs.ErrNotExist):
		if s.Kind == makeDir && root.Remove(s.Name) == nil {
			return nil
		}
		return putAside(root, s.Name, aside)
	case err != nil:
		return err
	case there && os.SameFile(now, old):
		return root.Remove(at + ".old")
	case there && (now.IsDir() || old.IsDir()):
		if err := putAside(root, s.Name, aside); err != nil {
			return err
		}
	}
	if err := root.MkdirAll(path.Dir(s.Name), 0o755); err != nil {
		return err
	}
	return root.Rename(at+".old", s.Name)
}

func putAside(root *os.Root, name, aside string) error {
	to := path.Join(aside, name)
	if err := root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	if err := root.RemoveAll(to); err != nil {
		return err
	}
	return root.Rename(name, to)
}

// missing reports that a path is not there, nor can be.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) }

// copyEntry copies a file or a symbolic link of the tree to a new name in the root.
func copyEntry(root, tree *os.Root, from, to string) (err error) {
	info, err := tree.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := tree.Readlink(from)
		if err != nil {
			return err
		}
		return root.Symlink(target, to)
	}
	in, err := tree.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) // the kernel copies, or shares the blocks
	return errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close())
}
