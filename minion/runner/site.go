package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	sharedDir  = "shared"
	privateDir = ".brine"
	recordsDir = privateDir + "/releases"
	failedDir  = privateDir + "/failed" // what a failed release of layout copy left in the root, by its id
	gonePrefix = "gone-"                // of a release in staging that is being removed
)

// record is what is known of one release. It lies outside the release, which is the application's own.
type record struct {
	ID         string             `json:"id"`
	App        fleet.AppName      `json:"app"`
	Group      fleet.GroupName    `json:"group"`
	Digest     fleet.Digest       `json:"digest"`
	Origin     fleet.Origin       `json:"origin"`
	Deployment fleet.DeploymentID `json:"deployment"`
	Job        fleet.JobID        `json:"job"`
	Hooks      string             `json:"hooks"`              // where its scripts are
	Good       bool               `json:"good"`               // it was live and validated, and nothing spoilt it since
	Activated  time.Time          `json:"activated,omitzero"` // last time that it was validated
}

// digest is empty for no release.
func (r *record) digest() fleet.Digest {
	if r == nil {
		return ""
	}
	return r.Digest
}

// site is one application root, held by this job alone.
type site struct {
	places
	dir  string
	root *os.Root
	lock *flock.Flock
}

// tree names a release's directory below the root; path is absolute.
func (s *site) tree(id string) string { return path.Join(s.trees, id) }

func (s *site) path(rec *record) string { return filepath.Join(s.dir, s.tree(rec.ID)) }

// openSite makes the root when it is missing and waits until no other job works on it, be it of this process or of
// another: a lock of the file belongs to whoever opened it.
func openSite(ctx context.Context, order fleet.ReleaseOrder) (*site, error) {
	dir := order.Root
	how, err := newLayout(order)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	s := &site{places: how.places(), dir: dir, root: root, lock: flock.New(filepath.Join(dir, privateDir, "lock"), flock.SetPermissions(0o600))}
	if err := s.enter(order); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if held, err := s.lock.TryLockContext(ctx, 50*time.Millisecond); !held {
		return nil, errors.Join(fmt.Errorf("wait for another job on %s: %w", dir, cmp.Or(context.Cause(ctx), err)), root.Close())
	}
	return s, nil
}

// untouched is the result of a job that did not begin: what is live goes on.
func untouched(order fleet.ReleaseOrder) fleet.ReleaseResult {
	var res fleet.ReleaseResult
	s, err := lookAt(order)
	if err != nil || s.root == nil {
		return res // nothing was ever deployed there
	}
	defer s.root.Close()
	if live, err := s.live(); err == nil && live != nil {
		res.Live, res.Previous, res.Serving = live.Digest, live.Digest, live.Good
	}
	return res
}

// lookAt opens a root that is only to be read, whatever its layout is. Its root is nil when there is no such directory.
func lookAt(order fleet.ReleaseOrder) (*site, error) {
	if !filepath.IsAbs(order.Root) {
		return nil, fmt.Errorf("root %q is not absolute", order.Root)
	}
	root, err := os.OpenRoot(order.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open root: %w", err)
	}
	if err == nil {
		if have, err := layoutOf(root); err == nil && have != "" {
			order.Layout = have
		}
	}
	how, err := newLayout(order)
	if err != nil {
		if root != nil {
			_ = root.Close()
		}
		return nil, err
	}
	return &site{places: how.places(), dir: order.Root, root: root}, nil
}

// prepare makes the directories. The file that names the layout comes last.
func (s *site) prepare(layout string) error {
	for _, d := range append(slices.Clone(s.dirs), dir{recordsDir, 0o700}) {
		if _, err := s.root.Stat(d.name); err == nil {
			continue
		}
		if err := s.root.MkdirAll(d.name, d.mode); err != nil {
			return fmt.Errorf("prepare %s: %w", s.dir, err)
		}
		if err := s.root.Chmod(d.name, d.mode); err != nil { // whatever the umask
			return fmt.Errorf("prepare %s: %w", s.dir, err)
		}
	}
	if _, err := s.root.Stat(layoutFile); err == nil {
		return nil
	}
	if err := s.root.WriteFile(layoutFile, []byte(layout+"\n"), 0o600); err != nil {
		return fmt.Errorf("prepare %s: %w", s.dir, err)
	}
	return nil
}

func (s *site) close() {
	_ = s.lock.Close() // the lock ends with its descriptor
	_ = s.root.Close()
}

// enter prepares a root unless it has another layout, in which case nothing is touched.
func (s *site) enter(order fleet.ReleaseOrder) error {
	if err := sameLayout(s.root, order); err != nil {
		return err
	}
	return s.prepare(cmp.Or(order.Layout, layouts()[0]))
}

// link returns the id that current points at, whether or not the release is there; empty without a link.
func (s *site) link() (string, error) {
	target, err := s.root.Readlink(s.pointer)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%s is not a symbolic link: move it away", filepath.Join(s.dir, s.pointer))
	}
	inside := target
	if filepath.IsAbs(inside) { // as other tools make it
		inside = strings.TrimPrefix(filepath.Clean(inside), s.dir+"/")
	}
	dir, id := path.Split(path.Clean(inside))
	if dir != s.target+"/" || !fleet.ValidName(id) {
		return "", fmt.Errorf("%s points at %q, which is not one of %s: move it away", filepath.Join(s.dir, s.pointer), target, s.trees)
	}
	return id, nil
}

// live returns the release that is live now, or nil. A release that something else made has an empty digest and is taken
// for good; one whose directory is gone is none.
func (s *site) live() (*record, error) {
	id, err := s.link()
	if err != nil || id == "" {
		return nil, err
	}
	return s.load(id)
}

// load returns a release, or nil when its directory is gone.
func (s *site) load(id string) (*record, error) {
	info, err := s.root.Stat(s.tree(id))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at release %s: %w", id, err)
	case !info.IsDir():
		return nil, nil
	}
	rec := &record{}
	err = readJSON(s.root, recordName(id), rec)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{ID: id, Good: true}, nil
	}
	return rec, err
}

// all returns the releases that have a record, the last activated first.
func (s *site) all() ([]*record, error) {
	entries, err := fs.ReadDir(s.root.FS(), recordsDir)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	var out []*record
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(id, ".") {
			continue
		}
		rec, err := s.load(id)
		if err != nil {
			return nil, err
		}
		if rec != nil {
			out = append(out, rec)
		}
	}
	slices.SortFunc(out, func(a, b *record) int {
		if c := b.Activated.Compare(a.Activated); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return out, nil
}

func recordName(id string) string { return path.Join(recordsDir, id+".json") }

func (s *site) save(rec *record) error { return writeJSON(s.root, recordName(rec.ID), rec) }

// pointTo switches current in one step: readers see the old release or the new one at any instant. An empty id removes
// the link.
func (s *site) pointTo(id string) error {
	if err := s.root.RemoveAll(s.next); err != nil {
		return fmt.Errorf("switch current: %w", err)
	}
	var err error
	if id == "" {
		if err = s.root.Remove(s.pointer); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else if err = s.root.Symlink(path.Join(s.target, id), s.next); err == nil {
		err = s.root.Rename(s.next, s.pointer)
	}
	if err != nil {
		return fmt.Errorf("switch current: %w", err)
	}
	return syncDir(s.root, path.Dir(s.pointer))
}

// discard removes a release: out of sight first, so that no half of one is ever taken for a whole.
func (s *site) discard(id string) error {
	gone := path.Join(s.staging, gonePrefix+id)
	if err := s.root.Rename(s.tree(id), gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove release %s: %w", id, err)
	}
	if err := syncDir(s.root, s.trees); err != nil {
		return err
	}
	if err := s.root.Remove(recordName(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove record of release %s: %w", id, err)
	}
	if err := errors.Join(s.root.RemoveAll(gone), s.root.RemoveAll(path.Join(failedDir, id))); err != nil {
		return fmt.Errorf("remove release %s: %w", id, err)
	}
	return nil
}

// sweep removes what is left in staging. Nobody works there while this job holds the root.
func (s *site) sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), s.staging)
	if err != nil {
		return fmt.Errorf("sweep staging: %w", err)
	}
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Name(), gonePrefix); ok {
			if err := s.discard(id); err != nil { // its record may be there still
				return err
			}
		}
		if err := s.root.RemoveAll(path.Join(s.staging, e.Name())); err != nil {
			return fmt.Errorf("sweep staging: %w", err)
		}
	}
	return nil
}
