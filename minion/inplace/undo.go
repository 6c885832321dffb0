package inplace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/pkg/appspec"
)

// undoLog is what Back needs: all that the install is about to change, and what was ours before. It is on disk before the
// first change, and what is replaced gets a second name beside it before it is replaced.
type undoLog struct {
	Before  []appspec.Owned `json:"before"`
	Changes []change        `json:"changes"`
}

// change is one of them. Back can undo it whether or not it was done.
type change struct {
	Kind changeKind `json:"kind"`
	Path string     `json:"path"`
	Mode uint32     `json:"mode,omitempty"` // of a directory
	UID  int        `json:"uid,omitempty"`
	GID  int        `json:"gid,omitempty"`
}

type changeKind string

const (
	added   changeKind = "added"   // a file or link where none was
	saved   changeKind = "saved"   // a file or link is replaced or removed
	addDir  changeKind = "mkdir"   // a directory where none was
	dropDir changeKind = "rmdir"   // a directory is removed if it is empty
	keepDir changeKind = "keepdir" // a directory is made as if it were new
)

const undoFile = "undo.json"

// newUndo lists what a plan changes.
func newUndo(p *appspec.Plan, owned []appspec.Owned) undoLog {
	u := undoLog{Before: owned}
	at := &looker{}
	defer at.close()
	note := func(kind changeKind, name string, st unix.Stat_t) {
		u.Changes = append(u.Changes, change{Kind: kind, Path: name, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid)})
	}
	for _, o := range p.Remove {
		switch st, there := at.look(o.Path); {
		case !there || isDir(st) != o.Dir:
		case o.Dir:
			note(dropDir, o.Path, st)
		default:
			note(saved, o.Path, st)
		}
	}
	for _, s := range p.Steps {
		switch st, there := at.look(s.Real); {
		case s.Do == appspec.Mkdir && s.Kept && there && isDir(st):
			note(keepDir, s.Real, st)
		case s.Do == appspec.Mkdir:
			note(addDir, s.Real, st)
		case there && !isDir(st):
			note(saved, s.Real, st)
		default:
			note(added, s.Real, st)
		}
	}
	return u
}

// begin writes the log down and keeps what is about to be replaced.
func (u undoLog) begin(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("make undo: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make undo: %w", err)
	}
	at, err := openDirectory(Host{}.Real(dir))
	if err != nil {
		return err
	}
	defer at.close()
	for i, c := range u.Changes {
		if c.Kind != saved {
			continue
		}
		if err := keep(c.Path, at, savedName(i)); err != nil {
			return err
		}
	}
	if err := at.sync(); err != nil {
		return err
	}
	data, err := json.Marshal(u)
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, undoFile), data, 0o600, renameio.IgnoreUmask())
	}
	if err == nil {
		err = syncDirectory(dir)
	}
	if err != nil {
		return fmt.Errorf("write down how to undo: %w", err)
	}
	return nil
}

func savedName(i int) string { return fmt.Sprintf("%06d", i) }

// keep gives a file a second name: the same file, or a copy where that is another file system.
func keep(name string, to *directory, as string) error {
	from, err := openDirectory(path.Dir(name))
	if err != nil {
		return err
	}
	defer from.close()
	if err := unix.Linkat(from.fd, path.Base(name), to.fd, as, 0); err == nil {
		return nil
	}
	return clone(from, path.Base(name), to, as)
}

// clone copies a file or link with all that stat tells of it.
func clone(from *directory, name string, to *directory, as string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(from.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return from.fail("look at", name, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		target := make([]byte, 4096)
		n, err := unix.Readlinkat(from.fd, name, target)
		if err != nil {
			return from.fail("read link", name, err)
		}
		return errors.Join(to.symlink(string(target[:n]), as), to.lchown(as, int(st.Uid), int(st.Gid)))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s is neither a file nor a link: it cannot be replaced", path.Join(from.path, name))
	}
	src, err := from.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read from
	dst, err := to.create(as)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = own(dst, int(st.Uid), int(st.Gid))
	}
	info, statErr := src.Stat()
	if statErr == nil {
		err = errors.Join(err, dst.Chmod(appspec.Mode(st.Mode&0o7777).FileMode()), to.age(as, info.ModTime()))
	}
	return errors.Join(err, statErr, dst.Close())
}

// Back takes back what Run did, all or any part of it, and puts exactly that in its place which was there before. It may be
// called again, also by the successor of a process that died in Run or in Back. With nothing to undo it does nothing.
func (in Installation) Back() error {
	data, err := os.ReadFile(filepath.Join(in.Undo, undoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return in.Settle() // nothing was changed yet
	}
	var u undoLog
	if err == nil {
		err = json.Unmarshal(data, &u)
	}
	if err != nil {
		return fmt.Errorf("read how to undo: %w", err)
	}
	at, err := openDirectory(Host{}.Real(in.Undo))
	if err != nil {
		return err
	}
	defer at.close()
	w := &worker{in: in, mine: temporary(in.File), devices: map[uint64]*directory{}}
	defer w.close()
	for i, c := range slices.Backward(u.Changes) {
		if err := w.undo(c, at, savedName(i)); err != nil {
			return fmt.Errorf("put %s back: %w", c.Path, err)
		}
		w.reached("put back")
	}
	if err := errors.Join(w.sync(), record{Owned: u.Before}.save(in.File)); err != nil {
		return err
	}
	return in.Settle()
}

func (w *worker) undo(c change, at *directory, as string) error {
	d, err := w.dir(c.Path)
	absent := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
	if absent && (c.Kind == added || c.Kind == addDir) {
		return nil // it was not made
	}
	if err != nil {
		return err
	}
	name := path.Base(c.Path)
	_ = d.unlink(w.mine) // half of a copy
	kind, err := d.kind(name)
	if err != nil {
		return err
	}
	folder := kind == unix.S_IFDIR
	switch c.Kind {
	case added:
		if folder {
			return nil
		}
		return d.unlink(name)
	case addDir:
		if !folder {
			return nil
		}
		return d.rmdir(name)
	case dropDir, keepDir:
		if kind == 0 {
			if err := d.mkdir(name); err != nil {
				return err
			}
		}
		return w.asBefore(d, name, c)
	}
	if folder { // a script put something into it
		if err := d.rename(name, name+asideSuffix); err != nil {
			return err
		}
	}
	return restore(at, as, d, name, w.mine)
}

// asideSuffix is on the name of a directory that is in the way of a file that comes back.
const asideSuffix = ".brine-aside"

func (w *worker) asBefore(d *directory, name string, c change) error {
	f, err := d.open(name)
	if err != nil {
		return err
	}
	return errors.Join(own(f, c.UID, c.GID), f.Chmod(appspec.Mode(c.Mode).FileMode()), f.Close())
}

// restore puts a kept file back. One that is not there any more was put back already.
func restore(at *directory, as string, d *directory, name, mine string) error {
	kind, err := at.kind(as)
	if err != nil || kind == 0 {
		return err
	}
	err = unix.Renameat(at.fd, as, d.fd, name)
	if errors.Is(err, unix.EXDEV) {
		if err := clone(at, as, d, mine); err != nil {
			return err
		}
		err = d.rename(mine, name)
	}
	return errors.Join(err, at.unlink(as)) // a rename of one file over itself leaves both names
}

// Settle forgets how to undo.
func (in Installation) Settle() error {
	if in.Undo == "" {
		return nil
	}
	gone := in.Undo + ".gone"
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("forget how to undo: %w", err)
	}
	if err := os.Rename(in.Undo, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget how to undo: %w", err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("forget how to undo: %w", err)
	}
	return nil
}
