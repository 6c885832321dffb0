package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

var copyParams = []string{"source", "force", "makedirs", "preserve", "user", "group", "mode", "dir_mode", "subdir", "owner"} //nolint:gochecknoglobals // a table

func runCopy(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	p, unknown := owner(ctx, a)
	p.mode = a.Mode("mode")
	from, force, makedirs := expand(a.Need("source")), a.Bool("force", false), a.Bool("makedirs", false)
	preserve, subdir, dirMode := a.Bool("preserve", false), a.Bool("subdir", false), a.Mode("dir_mode")
	if res, bad := a.Bad(); bad {
		return res
	}
	name := expand(c.Name)
	if res, bad := notAbsolute(name); bad {
		return res
	}
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return args.Failed(`The source file "%s" is not present`, from)
	case unknown != "" && !preserve:
		return args.Failed("%s", unknown)
	}
	if isDir(name) && subdir {
		name = filepath.Join(name, filepath.Base(from))
	}
	if preserve {
		uid, gid := ownerOf(info)
		p = perms{user: fmt.Sprint(uid), group: fmt.Sprint(gid), uid: uid, gid: gid, mode: octal(info.Mode())}
	}
	if lexists(name) {
		if res, done := keepCopy(name, from, force, info); done {
			return res
		}
	}
	if c.Test {
		return args.Would(nil, `File "%s" is set to be copied to "%s"`, from, name)
	}
	if dir := filepath.Dir(name); !isDir(dir) {
		if !makedirs {
			return args.Failed("The target directory %s is not present", dir)
		}
		above := p
		above.mode = dirMode
		if err := makeDirs(dir, above); err != nil {
			return args.Failed("%v", err)
		}
	}
	if err := copyAny(from, name, info); err != nil {
		return args.Failed(`Failed to copy "%s" to "%s": %v`, from, name, err)
	}
	changes := data.NewMap(name, from)
	if _, err := p.enforce(name, true); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, `Copied "%s" to "%s"`, from, name)
}

// keepCopy reports whether what is at name stays.
func keepCopy(name, from string, force bool, info fs.FileInfo) (state.Result, bool) {
	if !force {
		return args.Fine(`The target file "%s" exists and will not be overwritten`, name), true
	}
	if info.Mode().IsRegular() && sameFile(name, from) {
		return args.Fine(`The target file "%s" exists and will not be overwritten - files are identical but force flag is set`, name), true
	}
	return state.Result{}, false
}

func sameFile(one, two string) bool {
	sums := make([]string, 0, 2)
	for _, path := range []string{one, two} {
		if !isFile(path) {
			return false
		}
		in, err := os.Open(path)
		if err != nil {
			return false
		}
		sum, err := fetch.Sum{Kind: "sha256"}.Of(in)
		in.Close()
		if err != nil {
			return false
		}
		sums = append(sums, sum.Hex)
	}
	return sums[0] == sums[1]
}

// copyAny copies a file over name, or a directory in its place, with modes but without owners.
func copyAny(from, name string, info fs.FileInfo) error {
	if !info.IsDir() {
		if isDir(name) {
			return fmt.Errorf("%s is a directory", name)
		}
		return renameOver(name, func(temp string) error { return copyFile(from, temp, info.Mode()) })
	}
	if err := os.RemoveAll(name); err != nil {
		return fmt.Errorf("make room: %w", err)
	}
	return copyTree(from, name)
}

// renameOver lets put make a file beside name, and renames it to name.
func renameOver(name string, put func(temp string) error) error {
	dir, err := os.MkdirTemp(filepath.Dir(name), ".brine-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	temp := filepath.Join(dir, "new")
	if err := put(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// copyTree copies a directory: links as links, modes, no owners; anything but files, links and directories is refused.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		dest := filepath.Join(to, rel)
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("copy %s: %w", path, err)
		}
		switch {
		case e.IsDir():
			if err := os.Mkdir(dest, 0o700); err != nil {
				return fmt.Errorf("copy %s: %w", path, err)
			}
			return os.Chmod(dest, info.Mode().Perm()|0o700)
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return fmt.Errorf("copy %s: %w", path, err)
			}
			return os.Symlink(target, dest)
		case e.Type().IsRegular():
			return copyFile(path, dest, info.Mode())
		default:
			return fmt.Errorf("copy %s: it is no file, directory or link", path)
		}
	})
}

// move renames, and copies to another file system.
func move(from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("move %s: %w", from, err)
	}
	if err := copyAny(from, to, info); err != nil {
		return err
	}
	return os.RemoveAll(from)
}
