package inplace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/pkg/appspec"
)

// Installation is what one application and group have installed on this host. One at a time may have its file; the caller
// sees to that.
type Installation struct {
	File  string      // the record; its directory exists
	Umask fs.FileMode // for directories that are made
	Undo  string      // a directory for what Back and Settle need; none when empty, and then there is no way back

	Reached func(step string) // test seam: called at every border between two steps; may be nil
}

// Plan decides what an install would do now. The error is an appspec conflict, or what the disk said.
func (in Installation) Plan(spec *appspec.Spec, tree *os.Root, exists appspec.Exists) (*appspec.Plan, error) {
	r, err := loadRecord(in.File)
	if err != nil {
		return nil, err
	}
	return appspec.NewPlan(spec, tree.FS(), Host{}, r.settled(temporary(in.File)), exists)
}

// Run does what a plan of this moment says. After an error some of it may be done: the record knows what, and the next
// install takes it away.
func (in Installation) Run(ctx context.Context, plan *appspec.Plan, tree *os.Root) error {
	r, err := loadRecord(in.File)
	if err != nil {
		return err
	}
	owned := r.settled(temporary(in.File))
	w := &worker{in: in, tree: tree, mine: temporary(in.File), devices: map[uint64]*directory{}}
	defer w.close()
	if len(plan.Remove) == 0 && len(plan.Steps) == 0 && len(plan.Settings) == 0 && !r.Working {
		return nil
	}
	if in.Undo != "" {
		if err := newUndo(plan, owned).begin(in.Undo); err != nil {
			return err
		}
		w.reached("kept")
	}
	if err := w.begin(plan, owned).save(in.File); err != nil {
		return err
	}
	w.reached("written down")
	err = w.work(ctx, plan)
	done := record{Owned: w.made}
	if err != nil {
		done.Owned = append(left(owned, w.made, w.gone), w.made...)
	}
	return errors.Join(err, w.sync(), done.save(in.File))
}

// temporary is the name of files that are not in their place yet: another one for each record, so that two installs can
// work in one directory.
func temporary(file string) string {
	sum := sha256.Sum256([]byte(file))
	return ".brine-new-" + hex.EncodeToString(sum[:6])
}

// left is what an install that failed did not come to.
func left(owned, made []appspec.Owned, gone map[string]bool) []appspec.Owned {
	known := map[string]bool{}
	for _, o := range made {
		known[o.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(owned), func(o appspec.Owned) bool { return known[o.Path] || gone[o.Path] })
}

type worker struct {
	in   Installation
	tree *os.Root
	mine string // the temporary name

	made    []appspec.Owned
	gone    map[string]bool
	at      *directory            // the one last used
	devices map[uint64]*directory // a directory of each file system that was touched
}

func (w *worker) begin(plan *appspec.Plan, owned []appspec.Owned) record {
	r := record{Owned: slices.Clone(owned), Foreign: map[string]uint64{}, Working: true}
	known := map[appspec.Owned]bool{}
	for _, o := range owned {
		known[o] = true
	}
	at := &looker{}
	defer at.close()
	for _, s := range plan.Steps {
		o := appspec.Owned{Path: s.Real, Dir: s.Do == appspec.Mkdir}
		if known[o] {
			continue
		}
		r.Owned = append(r.Owned, o)
		if st, there := at.look(s.Real); there && !known[appspec.Owned{Path: s.Real, Dir: !o.Dir}] {
			r.Foreign[s.Real] = st.Ino
		}
	}
	return r
}

func (w *worker) reached(step string) {
	if w.in.Reached != nil {
		w.in.Reached(step)
	}
}

func (w *worker) work(ctx context.Context, plan *appspec.Plan) error {
	w.gone = map[string]bool{}
	for _, o := range plan.Remove {
		w.reached("remove")
		if err := w.remove(o); err != nil {
			return err
		}
		w.gone[o.Path] = true
	}
	for _, s := range plan.Steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.reached(string(s.Do))
		if err := w.step(s); err != nil {
			return err
		}
	}
	for _, s := range plan.Settings {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.reached("set")
		if err := w.set(ctx, s); err != nil {
			return fmt.Errorf("%s: permissions of %s: %w", s.Entry.Pos, s.Path, err)
		}
	}
	w.reached("installed")
	return nil
}

// dir opens the directory of a path, or goes on with the one that is open.
func (w *worker) dir(name string) (*directory, error) {
	dir := path.Dir(name)
	if w.at != nil && w.at.path == dir {
		return w.at, nil
	}
	d, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	w.leave()
	w.at = d
	return d, nil
}

// leave closes the directory at hand, or keeps it to sync its file system.
func (w *worker) leave() {
	if w.at == nil {
		return
	}
	if dev, err := w.at.device(); err == nil && w.devices[dev] == nil {
		w.devices[dev] = w.at
	} else {
		w.at.close()
	}
	w.at = nil
}

func (w *worker) sync() error {
	w.leave()
	var errs []error
	for _, d := range w.devices {
		errs = append(errs, d.sync())
	}
	return errors.Join(errs...)
}

func (w *worker) close() {
	w.leave()
	for _, d := range w.devices {
		d.close()
	}
}

// remove takes away what an earlier install made. What has become something else since is left, and so is a directory that
// is not empty.
func (w *worker) remove(o appspec.Owned) error {
	if label, ok := contextLabel(o.Path); ok {
		return dropContext(label)
	}
	d, err := w.dir(o.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	kind, err := d.kind(path.Base(o.Path))
	switch {
	case err != nil || kind == 0:
		return err
	case o.Dir && kind == unix.S_IFDIR:
		if w.at.path == o.Path {
			w.leave()
		}
		return d.rmdir(path.Base(o.Path))
	case !o.Dir && kind != unix.S_IFDIR:
		return d.unlink(path.Base(o.Path))
	}
	return nil
}

func (w *worker) step(s appspec.Step) error {
	d, err := w.dir(s.Real)
	if err != nil {
		return err
	}
	name := path.Base(s.Real)
	switch s.Do {
	case appspec.Mkdir:
		err = w.mkdir(d, name, s.Kept)
	case appspec.Link:
		err = w.link(d, name, s)
	default:
		err = w.copy(d, name, s)
	}
	if err == nil {
		w.made = append(w.made, appspec.Owned{Path: s.Real, Dir: s.Do == appspec.Mkdir})
	}
	return err
}

// mkdir makes a directory, or one that is kept as if it were new.
func (w *worker) mkdir(d *directory, name string, kept bool) error {
	if err := d.mkdir(name); err != nil && (!kept || !errors.Is(err, fs.ErrExist)) {
		return err
	}
	f, err := d.open(name)
	if err != nil {
		return err
	}
	if kept {
		err = errors.Join(own(f, os.Geteuid(), os.Getegid()), dropACL(f))
	}
	return errors.Join(err, f.Chmod(0o777&^w.in.Umask), f.Close())
}

func (w *worker) link(d *directory, name string, s appspec.Step) error {
	target, err := w.tree.Readlink(s.Source)
	if err != nil {
		return fmt.Errorf("read link %s: %w", s.Source, err)
	}
	if err := d.symlink(target, w.mine); err != nil {
		return err
	}
	return d.rename(w.mine, name)
}

func (w *worker) copy(d *directory, name string, s appspec.Step) error {
	from, err := w.tree.Open(s.Source)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy %s to %s: the revision has no such file: No such file or directory: %w", s.Source, s.Path, err)
	}
	if err != nil {
		return fmt.Errorf("open source %s: %w", s.Source, err)
	}
	defer func() { _ = from.Close() }() // only read from
	info, err := from.Stat()
	if err != nil {
		return fmt.Errorf("look at source %s: %w", s.Source, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the source %s is no file", s.Source)
	}
	to, err := d.create(w.mine)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = own(to, int(st.Uid), int(st.Gid))
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	err = errors.Join(err, to.Chmod(info.Mode()&bits), d.age(w.mine, info.ModTime()), to.Close())
	if err == nil {
		err = d.rename(w.mine, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy %s to %s: %w", s.Source, s.Path, err), d.unlink(w.mine))
	}
	return nil
}

// own gives a file to its owner, which only root can.
func own(f *os.File, uid, gid int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(uid, gid)
}

// dropACL takes away what an earlier install gave.
func dropACL(f *os.File) error {
	for _, attr := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		err := unix.Fremovexattr(int(f.Fd()), attr)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("remove acl of %s: %w", f.Name(), err)
		}
	}
	return nil
}
