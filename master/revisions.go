package master

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/build"
	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/source"
	sources "github.com/brine-deploy/brine/master/source/all"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// revisions turns refs into stored archives, and stored archives into what a minion needs.
type revisions struct {
	journal    *journal.Journal
	builder    *build.Builder
	store      archives
	identities identities
	cacheDir   string

	building sync.Mutex // one build at a time: builds are heavy, and the second one finds what the first has stored
}

// archives is the store as the master uses it.
type archives interface {
	Has(ctx context.Context, revision fleet.Revision) (bool, error)
	URL(ctx context.Context, revision fleet.Revision, ttl time.Duration) (string, error)
}

// found is what a ref comes to: an origin, and the revision if it is stored already.
type found struct {
	source   source.Source
	origin   fleet.Origin
	revision *fleet.Revision
}

// find resolves a ref. A source that cannot be asked is no hindrance when the ref names a stored revision.
func (r *revisions) find(ctx context.Context, app fleet.Application, ref string) (found, error) {
	if stored, err := r.byDigest(ctx, app.Name, ref); stored != nil || err != nil {
		return found{origin: originOf(stored), revision: stored}, err
	}
	src, err := sources.New(app.Source, filepath.Join(r.cacheDir, "sources"))
	if err != nil {
		return found{}, fmt.Errorf("source of %s: %w", app.Name, err)
	}
	origin, err := src.Resolve(ctx, ref)
	if err != nil {
		if stored := r.byRef(ctx, app.Name, ref); stored != nil && !errors.Is(err, source.ErrUnknownRef) {
			return found{origin: stored.Origin, revision: stored}, nil
		}
		return found{}, fmt.Errorf("resolve %q of %s: %w", ref, app.Name, err)
	}
	revision, err := r.journal.FindRevision(ctx, app.Name, origin.Commit, build.Recipe(app))
	if errors.Is(err, journal.ErrNotFound) {
		return found{source: src, origin: origin}, nil
	}
	if err != nil {
		return found{}, fmt.Errorf("find revision: %w", err)
	}
	revision.Origin.Ref = origin.Ref
	return found{source: src, origin: origin, revision: &revision}, nil
}

// Prepare gives the stored revision of a ref, and builds it when there is none.
func (r *revisions) Prepare(ctx context.Context, app fleet.Application, ref, by string, note func(string)) (fleet.Revision, error) {
	r.building.Lock()
	defer r.building.Unlock()
	f, err := r.find(ctx, app, ref)
	if err != nil {
		return fleet.Revision{}, err
	}
	if f.revision != nil {
		has, err := r.store.Has(ctx, *f.revision)
		if err != nil {
			return fleet.Revision{}, fmt.Errorf("look into the store: %w", err)
		}
		if has {
			return *f.revision, nil
		}
		if f.source == nil {
			return fleet.Revision{}, fmt.Errorf("revision %s is not in the store any more; deploy its ref to build it again", f.revision.Digest.Short())
		}
	}
	identity, err := r.identities.of(app.Name)
	if err != nil {
		return fleet.Revision{}, err
	}
	note("building " + fleet.Revision{Origin: f.origin}.Name())
	revision, err := r.builder.Build(ctx, app, f.source, f.origin, identity, by, note)
	if err != nil {
		return fleet.Revision{}, fmt.Errorf("build %s: %w", app.Name, err)
	}
	if err := r.journal.AddRevision(ctx, revision); err != nil {
		return fleet.Revision{}, fmt.Errorf("journal revision: %w", err)
	}
	return revision, nil
}

// Fetch gives the URL of a revision's archive, good for ttl, and the age identity that opens it.
func (r *revisions) Fetch(ctx context.Context, revision fleet.Revision, ttl time.Duration) (url, identity string, err error) {
	has, err := r.store.Has(ctx, revision)
	if err != nil {
		return "", "", fmt.Errorf("look into the store: %w", err)
	}
	if !has {
		return "", "", fmt.Errorf("archive is not in the store any more")
	}
	if url, err = r.store.URL(ctx, revision, ttl); err != nil {
		return "", "", err
	}
	identity, err = r.identities.of(revision.App)
	return url, identity, err
}

const minDigestPrefix = 7

// byDigest gives the stored revision whose digest begins with ref; nil when ref is not such a prefix.
func (r *revisions) byDigest(ctx context.Context, app fleet.AppName, ref string) (*fleet.Revision, error) {
	if len(ref) < minDigestPrefix || strings.Trim(ref, "0123456789abcdef") != "" {
		return nil, nil //nolint:nilnil // absence is an answer here
	}
	all, err := r.journal.Revisions(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	for _, rev := range all {
		if strings.HasPrefix(string(rev.Digest), ref) {
			return &rev, nil
		}
	}
	return nil, nil //nolint:nilnil // absence is an answer here
}

// byRef gives the newest stored revision that was built from ref, or from a commit that begins with it.
func (r *revisions) byRef(ctx context.Context, app fleet.AppName, ref string) *fleet.Revision {
	all, err := r.journal.Revisions(ctx, app)
	if err != nil {
		return nil
	}
	for _, rev := range all {
		if rev.Origin.Ref == ref || len(ref) >= minDigestPrefix && strings.HasPrefix(rev.Origin.Commit, ref) {
			return &rev
		}
	}
	return nil
}

func originOf(r *fleet.Revision) fleet.Origin {
	if r == nil {
		return fleet.Origin{}
	}
	return r.Origin
}
