package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// temporary is the pattern of the git directories of exports, and abandoned the age at which one belongs to no export.
const (
	temporary = "export-*"
	abandoned = 24 * time.Hour
)

// sweep removes what a crash has left. What cannot be removed now is tried again next time.
func sweep(cacheDir string, before time.Time) {
	left, _ := filepath.Glob(filepath.Join(cacheDir, temporary)) // the pattern is well formed
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && info.ModTime().Before(before) {
			_ = os.RemoveAll(path)
		}
	}
}

// Export implements source.Source. A checkout, not git archive: filters such as LFS run, and submodules come along. It
// happens in a git directory of its own, which borrows the mirror's objects and is gone afterwards.
func (g *Git) Export(ctx context.Context, origin fleet.Origin, dir string) error {
	if !fullCommit.MatchString(origin.Commit) {
		return fmt.Errorf("export: %q is not a full commit", origin.Commit)
	}
	if !g.knows(ctx, origin.Commit) { // the cache may have been removed since
		if _, err := g.Resolve(ctx, origin.Commit); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	gitDir, err := os.MkdirTemp(filepath.Dir(g.mirror), temporary)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	err = g.checkout(ctx, origin.Commit, gitDir, dir)
	return errors.Join(err, os.RemoveAll(gitDir))
}

func (g *Git) checkout(ctx context.Context, commit, gitDir, dir string) error {
	env := []string{"GIT_DIR=" + gitDir, "GIT_WORK_TREE=" + dir}
	run := func(args ...string) error {
		_, err := g.runIn(ctx, dir, env, args...)
		return err
	}
	if _, err := g.run(ctx, nil, "init", "--quiet", "--bare", "--template=", gitDir); err != nil {
		return err
	}
	borrow := filepath.Join(gitDir, "objects", "info", "alternates")
	if err := os.MkdirAll(filepath.Dir(borrow), 0o700); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := os.WriteFile(borrow, []byte(filepath.Join(g.mirror, "objects")+"\n"), 0o600); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	// Filters and relative submodule URLs want to know where the repository comes from. (An lfs.storage in the mirror, to
	// keep large files, would also be taken for the remote's when that is a local one.)
	for _, setting := range [][2]string{{"core.bare", "false"}, {"remote.origin.url", g.url}} {
		if err := run("config", setting[0], setting[1]); err != nil {
			return err
		}
	}
	if err := run("checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit); err != nil {
		return err
	}
	if !g.submodules {
		return nil
	}
	if err := run("submodule", "--quiet", "update", "--init", "--recursive"); err != nil {
		return err
	}
	return removeMetadata(dir)
}

// removeMetadata removes the .git that each submodule has. No tree of git itself can hold such a name.
func removeMetadata(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != ".git" || path == dir {
			return err
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove submodules' metadata: %w", err)
	}
	return nil
}
