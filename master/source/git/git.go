// Package git gets code from git repositories through the user's own git, and so with the user's keys, proxies, credential
// helpers and filters such as LFS.
package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/brine-deploy/brine/master/source"
	"github.com/brine-deploy/brine/pkg/fleet"
)

var _ source.Source = (*Git)(nil)

// Git is one repository. It keeps a bare mirror of it, which all sources of the same URL share, also in other processes.
// Every commit that was ever resolved stays in the mirror, so that it can be exported when its branch is long gone.
type Git struct {
	url        string
	ref        string // the default; empty: the remote's HEAD
	submodules bool
	mirror     string
}

var (
	withScheme = regexp.MustCompile(`^(https?|ssh|git)://[^-/]|^file:///`)
	scpLike    = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.@-]*:/?[^:/]`)
	transport  = regexp.MustCompile(`^[A-Za-z0-9]+::`)
	plain      = regexp.MustCompile(`^[^\x00-\x20\x7f]+$`)
)

// Open checks the spec and makes a source whose mirror is in cacheDir. It neither needs git nor the repository yet.
func Open(spec fleet.SourceSpec, cacheDir string) (source.Source, error) {
	u := spec.URL
	switch {
	case u == "":
		return nil, errors.New("url of the git repository is missing")
	case transport.MatchString(u):
		return nil, fmt.Errorf("git url %q: transports of the form name:: are not allowed", u)
	case !plain.MatchString(u) || !withScheme.MatchString(u) && !scpLike.MatchString(u) && !filepath.IsAbs(u):
		return nil, fmt.Errorf("git url %q is not https://, ssh://, file://, user@host:path or an absolute path", redact(u))
	}
	sum := sha256.Sum256([]byte(u))
	mirror, err := filepath.Abs(filepath.Join(cacheDir, "git-"+hex.EncodeToString(sum[:8])))
	if err != nil {
		return nil, fmt.Errorf("mirror of %s: %w", redact(u), err)
	}
	return &Git{url: u, ref: spec.Ref, submodules: spec.Submodules, mirror: mirror}, nil
}

// redact takes the password out of a URL.
func redact(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return u.Redacted()
	}
	return raw
}

// local reports whether the repository is on this machine.
func (g *Git) local() bool { return filepath.IsAbs(g.url) || strings.HasPrefix(g.url, "file://") }

// Resolve implements source.Source. A full commit that the mirror knows needs no remote.
func (g *Git) Resolve(ctx context.Context, ref string) (fleet.Origin, error) {
	if ref == "" {
		ref = g.ref
	}
	if fullCommit.MatchString(ref) && g.knows(ctx, ref) {
		return g.origin(ctx, ref, ref)
	}
	unlock, err := g.lock(ctx)
	if err != nil {
		return fleet.Origin{}, err
	}
	defer unlock()
	if err := g.fetch(ctx); err != nil {
		return fleet.Origin{}, err
	}
	if ref == "" {
		if ref, err = g.head(ctx); err != nil {
			return fleet.Origin{}, err
		}
	}
	commit, err := g.find(ctx, ref)
	if err != nil {
		return fleet.Origin{}, err
	}
	return g.origin(ctx, ref, commit)
}

// origin reads what people want to know of a commit, and gives it a ref of our own, which keeps it from being collected.
func (g *Git) origin(ctx context.Context, ref, commit string) (fleet.Origin, error) {
	if _, err := g.git(ctx, "update-ref", "refs/brine/"+commit, commit); err != nil {
		return fleet.Origin{}, err
	}
	out, err := g.git(ctx, "log", "-1", "--no-show-signature", "--no-patch", "--encoding=UTF-8", "--format=%an <%ae>%x00%s%x00%cI", commit)
	if err != nil {
		return fleet.Origin{}, err
	}
	fields := strings.Split(out, "\x00")
	if len(fields) != 3 {
		return fleet.Origin{}, fmt.Errorf("git log of %s: unexpected answer %q", commit, out)
	}
	when, err := time.Parse(time.RFC3339, fields[2])
	if err != nil {
		return fleet.Origin{}, fmt.Errorf("git log of %s: %w", commit, err)
	}
	return fleet.Origin{Ref: ref, Commit: commit, Author: fields[0], Subject: fields[1], Time: when.UTC()}, nil
}

const lockPoll = 100 * time.Millisecond

// lock keeps others from changing the mirror, and makes it when it is not there.
func (g *Git) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(g.mirror), 0o700); err != nil {
		return nil, fmt.Errorf("make cache directory: %w", err)
	}
	l := flock.New(g.mirror + ".lock")
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("lock mirror of %s: %w", redact(g.url), err)
	}
	unlock = func() { _ = l.Unlock() } // closing the file, at the latest, unlocks it
	sweep(filepath.Dir(g.mirror), time.Now().Add(-abandoned))
	if _, err := os.Stat(filepath.Join(g.mirror, "HEAD")); err == nil {
		return unlock, nil
	}
	_, err = g.run(ctx, nil, "init", "--quiet", "--bare", "--template=", g.mirror)
	if err == nil {
		_, err = g.git(ctx, "config", "remote.origin.url", g.url)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// fetch makes the mirror equal to the remote. The caller holds the lock.
func (g *Git) fetch(ctx context.Context) error {
	_, err := g.git(ctx, "fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
	return err
}
