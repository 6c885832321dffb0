package tree

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/master/source"
	"github.com/brine-deploy/brine/master/source/git"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// updateTime bounds asking a repository once.
const updateTime = 2 * time.Minute

// repo is a root in git: what a ref has, checked out beside the older states of it.
//
//	HOME/COMMIT/...     the tree of a commit
//	HOME/current        the commit that is served
type repo struct {
	spec   config.Root
	source source.Source
	home   string

	mu     sync.Mutex
	commit string // guarded by mu; "" until there is a checkout
	failed error  // guarded by mu; of the last update
}

func newRepo(spec config.Root, dir string) (*repo, error) {
	src, err := git.Open(fleet.SourceSpec{URL: spec.Git, Ref: spec.Ref}, filepath.Join(dir, "mirrors"))
	if err != nil {
		return nil, err
	}
	if spec.Path != "" && !fs.ValidPath(spec.Path) {
		return nil, fmt.Errorf("path %q of a git root leads out of the repository", spec.Path)
	}
	sum := sha256.Sum256([]byte(spec.Git + "\x00" + spec.Ref))
	r := &repo{spec: spec, source: src, home: filepath.Join(dir, hex.EncodeToString(sum[:8])), failed: errors.New("it has not been asked yet")}
	if commit, err := os.ReadFile(filepath.Join(r.home, "current")); err == nil {
		commit := strings.TrimSpace(string(commit))
		if info, err := os.Stat(filepath.Join(r.home, commit)); err == nil && info.IsDir() && commit != "" {
			r.commit = commit
		}
	}
	return r, nil
}

// shown is the URL without what is secret in it.
func (r *repo) shown() string {
	if u, err := url.Parse(r.spec.Git); err == nil {
		return u.Redacted()
	}
	return r.spec.Git
}

// dir is where the files are now. When the repository cannot be reached they are those of the last time.
func (r *repo) dir() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.commit == "" {
		return "", fmt.Errorf("git root %s is not there yet: %w", r.shown(), r.failed)
	}
	return filepath.Join(r.home, r.commit, filepath.FromSlash(r.spec.Path)), nil
}

// update looks at what the ref is now, and checks it out when that is new.
func (r *repo) update(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	err := r.follow(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
	return err
}

func (r *repo) follow(ctx context.Context) error {
	origin, err := r.source.Resolve(ctx, r.spec.Ref)
	if err != nil {
		return err
	}
	r.mu.Lock()
	before := r.commit
	r.mu.Unlock()
	if origin.Commit == before {
		return nil
	}
	if err := r.checkOut(ctx, origin); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(r.home, "current"), []byte(origin.Commit+"\n"), 0o600); err != nil {
		return fmt.Errorf("remember commit: %w", err)
	}
	r.mu.Lock()
	r.commit = origin.Commit
	r.mu.Unlock()
	return r.sweep(origin.Commit, before)
}

func (r *repo) checkOut(ctx context.Context, origin fleet.Origin) error {
	final := filepath.Join(r.home, origin.Commit)
	if info, err := os.Stat(final); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(r.home, 0o700); err != nil {
		return fmt.Errorf("check out: %w", err)
	}
	scratch, err := os.MkdirTemp(r.home, "new-")
	if err != nil {
		return fmt.Errorf("check out: %w", err)
	}
	err = r.source.Export(ctx, origin, scratch)
	if err == nil {
		err = os.Rename(scratch, final)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("check out: %w", err), os.RemoveAll(scratch))
	}
	return nil
}

// sweep removes checkouts, but for the one that is served and the one before it, which may still be read.
func (r *repo) sweep(keep ...string) error {
	entries, err := os.ReadDir(r.home)
	if err != nil {
		return fmt.Errorf("remove old checkouts: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && e.Name() != keep[0] && e.Name() != keep[1] {
			errs = append(errs, os.RemoveAll(filepath.Join(r.home, e.Name())))
		}
	}
	return errors.Join(errs...)
}
