package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/brine-deploy/brine/minion/process"
)

// linkShared makes each shared path of the new release a link into shared/, which is filled when it is new. It can be
// repeated.
func (d *deploy) linkShared() error {
	paths, err := parseShared(d.order.Shared)
	if err != nil {
		return err
	}
	tree, err := d.site.root.OpenRoot(d.site.tree(d.next.ID))
	if err != nil {
		return fmt.Errorf("open release: %w", err)
	}
	defer tree.Close()
	shared, err := d.site.root.OpenRoot(sharedDir)
	if err != nil {
		return fmt.Errorf("open shared: %w", err)
	}
	defer shared.Close()
	owner, err := process.Lookup(d.order.RunAs)
	if err != nil {
		return err
	}
	for _, p := range paths {
		if err := provide(shared, tree, p, owner); err != nil {
			return fmt.Errorf("shared path %s: %w", p.name, err)
		}
		if err := link(tree, p.name); err != nil {
			return fmt.Errorf("link shared path %s: %w", p.name, err)
		}
	}
	return nil
}

// checkShared refuses a release in which a shared path goes through a link: the link in its place would point elsewhere.
func checkShared(tree *os.Root, list []string) error {
	paths, err := parseShared(list)
	if err != nil {
		return err
	}
	for _, p := range paths {
		for dir := path.Dir(p.name); dir != "."; dir = path.Dir(dir) {
			if info, err := tree.Lstat(dir); err == nil && !info.IsDir() {
				return fmt.Errorf("shared path %s goes through %s, which is no directory in the archive", p.name, dir)
			}
		}
	}
	return nil
}

// provide makes shared/<path> when it is missing: a directory, or a file with the content that the release brings. The
// user of the scripts owns what is made.
func provide(shared, tree *os.Root, p sharedPath, owner process.Account) error {
	if _, err := shared.Lstat(p.name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(shared, path.Dir(p.name), owner); err != nil {
		return err
	}
	if p.dir || isDir(tree, p.name) {
		return makeDirs(shared, p.name, owner)
	}
	return seed(shared, tree, p.name, owner)
}

func isDir(tree *os.Root, name string) bool {
	info, err := tree.Stat(name)
	return err == nil && info.IsDir()
}

func makeDirs(shared *os.Root, name string, owner process.Account) error {
	if name == "." || isDir(shared, name) {
		return nil
	}
	if err := makeDirs(shared, path.Dir(name), owner); err != nil {
		return err
	}
	if err := shared.Mkdir(name, 0o755); err != nil {
		return err
	}
	if err := shared.Chmod(name, 0o755); err != nil {
		return err
	}
	return give(shared, name, owner)
}

func give(shared *os.Root, name string, owner process.Account) error {
	if owner.Credential == nil {
		return nil
	}
	return shared.Lchown(name, int(owner.Credential.Uid), int(owner.Credential.Gid))
}

// seed writes beside the file and renames, so that a crash leaves no half of it to all later releases.
func seed(shared, tree *os.Root, name string, owner process.Account) error {
	half := path.Join(path.Dir(name), "."+path.Base(name)+".brine-new")
	out, err := shared.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	in, err := tree.Open(name)
	switch {
	case err == nil:
		_, err = io.Copy(out, in)
		err = errors.Join(err, in.Close())
	case errors.Is(err, fs.ErrNotExist):
		err = nil // an empty file
	}
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, shared.Remove(half))
	}
	if err := give(shared, half, owner); err != nil {
		return err
	}
	return shared.Rename(half, name)
}

// link puts the link in the place of whatever the release has there.
func link(tree *os.Root, name string) error {
	target := strings.Repeat("../", strings.Count(name, "/")+2) + path.Join(sharedDir, name)
	if now, err := tree.Readlink(name); err == nil && now == target {
		return nil
	}
	if err := tree.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := tree.RemoveAll(name); err != nil {
		return err
	}
	return tree.Symlink(target, name)
}

// sharedNames lists those of the shared paths that are there already.
func (s *site) sharedNames(list []string) (out []string) {
	for _, text := range list {
		name := strings.TrimSuffix(text, "/")
		if _, err := s.root.Lstat(path.Join(sharedDir, name)); err == nil {
			out = append(out, name)
		}
	}
	return out
}
