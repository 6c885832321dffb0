package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// selinux is where the kernel keeps a file's SELinux context.
const selinux = "security.selinux"

// replace puts new content at path, at once: readers see the old file or the new one. A file that is there keeps its
// owner, mode and SELinux context, a new one gets mode.
func replace(path string, content *fetch.Blob, mode fs.FileMode) error {
	in, err := content.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), ".brine-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	temp := out.Name()
	defer func() { _ = os.Remove(temp) }() // gone already when all went well
	_, err = io.Copy(out, in)
	if err == nil {
		err = inherit(out, path, mode)
	}
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = os.Rename(temp, path)
	if errors.Is(err, syscall.EBUSY) { // it is a mount point of its own, as /etc/hosts of a container
		return overwrite(path, temp)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// inherit gives out what the file at path has beside its content.
func inherit(out *os.File, path string, mode fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return out.Chmod(mode)
	}
	if uid, gid := ownerOf(info); uid >= 0 {
		if err := out.Chown(uid, gid); err != nil && os.Geteuid() == 0 {
			return err
		}
	}
	label := make([]byte, 256)
	if n, err := unix.Lgetxattr(path, selinux, label); err == nil {
		_ = unix.Fsetxattr(int(out.Fd()), selinux, label[:n], 0) // without the right to, the policy's default stays
	}
	return out.Chmod(info.Mode())
}

func overwrite(path, temp string) error {
	in, err := os.Open(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = io.Copy(out, in)
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// backUp keeps a copy of a file in the minion's cache, when the mode is one of Salt's that says so.
func backUp(h *state.Host, path, mode string) error {
	if mode != "minion" && mode != "both" || h.Cache == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // nothing is there to keep
	}
	now := time.Now()
	dest := fmt.Sprintf("%s_%s_%06d_%d", filepath.Join(h.Cache, "file_backup", path),
		now.Format("Mon_Jan_02_15:04:05"), now.Nanosecond()/1000, now.Year())
	if err := os.MkdirAll(filepath.Dir(dest), 0o700); err != nil {
		return fmt.Errorf("back up %s: %w", path, err)
	}
	return copyFile(path, dest, info.Mode())
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(mode)
	}
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return nil
}
