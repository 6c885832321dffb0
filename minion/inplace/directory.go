package inplace

import (
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// directory is an open directory. Everything in it is addressed by base name and no link is followed.
type directory struct {
	path string
	fd   int
}

// openDirectory opens a directory that no symbolic link leads to.
func openDirectory(dir string) (*directory, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NOFOLLOW
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // before Linux 5.6, or in an old sandbox
		fd, err = unix.Open(dir, flags, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open directory", Path: dir, Err: err}
	}
	return &directory{dir, fd}, nil
}

func (d *directory) close() { _ = unix.Close(d.fd) }

func (d *directory) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path.Join(d.path, name), Err: err}
}

// kind gives the type bits of the mode; 0 when nothing is there.
func (d *directory) kind(name string) (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	return st.Mode & unix.S_IFMT, d.fail("look at", name, err)
}

func (d *directory) open(name string) (*os.File, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return os.NewFile(uintptr(fd), path.Join(d.path, name)), nil
}

// create makes a new file; one that a crash left is in nobody's way.
func (d *directory) create(name string) (*os.File, error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(d.fd, name, flags, 0o600)
	if errors.Is(err, unix.EEXIST) {
		if err := d.unlink(name); err != nil {
			return nil, err
		}
		fd, err = unix.Openat(d.fd, name, flags, 0o600)
	}
	if err != nil {
		return nil, d.fail("make", name, err)
	}
	return os.NewFile(uintptr(fd), path.Join(d.path, name)), nil
}

func (d *directory) symlink(target, name string) error {
	if err := d.unlink(name); err != nil {
		return err
	}
	return d.fail("make link", name, unix.Symlinkat(target, d.fd, name))
}

func (d *directory) rename(from, to string) error {
	return d.fail("put in place", to, unix.Renameat(d.fd, from, d.fd, to))
}

// unlink removes a file or a link. One that is not there is no error.
func (d *directory) unlink(name string) error {
	if err := unix.Unlinkat(d.fd, name, 0); !errors.Is(err, unix.ENOENT) {
		return d.fail("remove", name, err)
	}
	return nil
}

// rmdir removes a directory that is empty, and leaves others.
func (d *directory) rmdir(name string) error {
	err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return d.fail("remove", name, err)
}

func (d *directory) mkdir(name string) error {
	return d.fail("make directory", name, unix.Mkdirat(d.fd, name, 0o700))
}

func (d *directory) lchown(name string, uid, gid int) error {
	return d.fail("change owner of", name, unix.Fchownat(d.fd, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW))
}

// age gives a file its time.
func (d *directory) age(name string, t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return d.fail("set time of", name, unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

// sync makes the whole file system durable: one call instead of one for each file.
func (d *directory) sync() error {
	if err := unix.Syncfs(d.fd); err != nil {
		return fmt.Errorf("sync %s: %w", d.path, err)
	}
	return nil
}

func (d *directory) device() (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(d.fd, &st)
	return st.Dev, d.fail("look at", ".", err)
}
