package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/states/account"
)

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// extraction writes entries below a directory. Links are made last, and directories get their modes then.
type extraction struct {
	ctx   context.Context
	root  *os.Root
	perms bool // modes as the archive has them
	db    account.DB
	users map[string]int // what names were found to be
	links []entry
	dirs  []entry
}

// extract unpacks into the directory name, which exists.
func (o *opened) extract(ctx context.Context, name string, perms bool) error {
	root, err := os.OpenRoot(name)
	if err != nil {
		return fmt.Errorf("extract to %s: %w", name, err)
	}
	defer root.Close()
	x := &extraction{ctx: ctx, root: root, perms: perms, users: map[string]int{}}
	if err := o.walk(ctx, x.put); err != nil {
		return err
	}
	return x.finish()
}

func (x *extraction) put(e entry, content io.Reader) error {
	if e.name == "" {
		return nil
	}
	if above := path.Dir(e.name); above != "." {
		if err := x.root.MkdirAll(above, 0o777); err != nil {
			return fmt.Errorf("extract %s: %w", e.raw, err)
		}
	}
	switch e.kind {
	case dir:
		x.dirs = append(x.dirs, e)
		if err := x.root.MkdirAll(e.name, 0o777); err != nil {
			return fmt.Errorf("extract %s: %w", e.raw, err)
		}
		return nil
	case symlink, hardlink:
		x.links = append(x.links, e)
		return nil
	}
	return x.file(e, content)
}

func (x *extraction) file(e entry, content io.Reader) error {
	if err := x.root.Remove(e.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("extract %s: %w", e.raw, err)
	}
	out, err := x.root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("extract %s: %w", e.raw, err)
	}
	_, err = io.Copy(out, content)
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = x.dress(e)
	}
	if err != nil {
		return fmt.Errorf("extract %s: %w", e.raw, err)
	}
	return nil
}

// dress gives what was made its owner, mode and time.
func (x *extraction) dress(e entry) error {
	if uid, gid := x.owners(e); os.Geteuid() == 0 && uid >= 0 {
		if err := x.root.Lchown(e.name, uid, gid); err != nil {
			return err
		}
	}
	if e.kind == symlink {
		return nil
	}
	if x.perms && e.mode != 0 {
		if err := x.root.Chmod(e.name, e.mode); err != nil {
			return err
		}
	}
	if e.mtime.IsZero() {
		return nil
	}
	return x.root.Chtimes(e.name, e.mtime, e.mtime)
}

// owners are an entry's owners on this host: by name, if the host knows the name.
func (x *extraction) owners(e entry) (uid, gid int) {
	if e.uid < 0 {
		return -1, -1
	}
	return x.id("u"+e.uname, e.uid, x.db.UID), x.id("g"+e.gname, e.gid, x.db.GID)
}

func (x *extraction) id(key string, number int, find func(context.Context, string) (int, bool)) int {
	if id, known := x.users[key]; known && id >= 0 {
		return id
	} else if known || len(key) == 1 {
		return number
	}
	id, ok := find(x.ctx, key[1:])
	if !ok {
		x.users[key] = -1
		return number
	}
	x.users[key] = id
	return id
}

func (x *extraction) finish() error {
	for _, e := range x.links {
		if err := x.root.Remove(e.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("extract %s: %w", e.raw, err)
		}
		var err error
		if e.kind == hardlink {
			err = x.root.Link(e.target, e.name)
		} else if err = x.root.Symlink(e.target, e.name); err == nil {
			err = x.dress(e)
		}
		if err != nil {
			return fmt.Errorf("extract %s: %w", e.raw, err)
		}
	}
	for _, e := range slices.Backward(x.dirs) {
		if err := x.dress(e); err != nil {
			return fmt.Errorf("extract %s: %w", e.raw, err)
		}
	}
	return nil
}

// guessFormat is the format that a file's name tells.
func guessFormat(name string) string {
	name = strings.ToLower(name)
	for _, end := range []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.lzma", ".tlz", ".tar.zst", ".tzst"} {
		if strings.HasSuffix(name, end) {
			return "tar"
		}
	}
	for _, end := range []string{".zip", ".jar", ".war"} {
		if strings.HasSuffix(name, end) {
			return "zip"
		}
	}
	if strings.HasSuffix(name, ".rar") {
		return "rar"
	}
	return ""
}

func idsOf(info fs.FileInfo) (uid, gid int) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(sys.Uid), int(sys.Gid)
	}
	return -1, -1
}
