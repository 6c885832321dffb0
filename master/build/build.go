// Package build makes revisions: it exports a source, runs the build steps, packs what they leave, seals it and stores it.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/brine-deploy/brine/master/source"
	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Putter is the store as a Builder needs it. To store what is there already is success.
type Putter interface {
	Put(ctx context.Context, rev fleet.Revision, sealed io.ReaderAt, size int64) error
}

// Builder builds revisions. Its methods may be called concurrently; builds of one application wait for each other.
type Builder struct {
	Store   Putter
	Scratch string // directory for trees that are being built; made when it is not there
}

// Build makes the revision of a resolved origin and stores it, sealed for an age identity. Each line that the build steps
// print, without its end, goes to output, which may be nil and is never called concurrently. A step that fails gives a
// *StepError. The tree of the build is removed in any case.
//
// The same origin gives the same digest if the build steps are reproducible; SOURCE_DATE_EPOCH and a path that is the same
// for each build of the application help them.
func (b *Builder) Build(ctx context.Context, app fleet.Application, src source.Source, origin fleet.Origin, identity, by string, output func(line string)) (rev fleet.Revision, err error) {
	if err := check(app); err != nil {
		return rev, err
	}
	dir, cleanup, err := b.scratch(ctx, app.Name)
	if err != nil {
		return rev, err
	}
	defer func() { err = errors.Join(err, cleanup()) }()

	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return rev, fmt.Errorf("make scratch directory: %w", err)
	}
	if err := src.Export(ctx, origin, tree); err != nil {
		return rev, err
	}
	if err := b.runSteps(ctx, app, origin, tree, output); err != nil {
		return rev, err
	}
	sealed, err := os.OpenFile(filepath.Join(dir, "sealed"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return rev, fmt.Errorf("make archive: %w", err)
	}
	defer func() { err = errors.Join(err, sealed.Close()) }()
	packed, stored, err := pack(ctx, sealed, tree, app.Build.Exclude, origin.Time, identity)
	if err != nil {
		return rev, err
	}
	rev = fleet.Revision{
		Digest: packed.Digest, App: app.Name, Origin: origin, Recipe: Recipe(app), Size: packed.Size, Stored: stored,
		Room: packed.Room, Files: packed.Files + packed.Dirs, Built: time.Now().UTC(), BuiltBy: by,
	}
	if err := checkAppspec(tree, app.Build.Exclude); err != nil {
		return fleet.Revision{}, err
	}
	if err := b.Store.Put(ctx, rev, sealed, stored); err != nil {
		return fleet.Revision{}, err
	}
	return rev, nil
}

// check finds what is wrong with the build settings before anything is exported.
func check(app fleet.Application) error {
	if !fleet.ValidName(string(app.Name)) {
		return fmt.Errorf("application name %q is not valid", app.Name)
	}
	for i, step := range app.Build.Steps {
		if (step.Run == "") == (len(step.Argv) == 0) {
			return fmt.Errorf("build step %d: set either run or argv", i+1)
		}
	}
	return archive.CheckExclude(app.Build.Exclude)
}

const lockPoll = 100 * time.Millisecond

// scratch gives an empty directory at the same path for each build of an application: compilers write paths into what
// they make. What a crash has left there goes away.
func (b *Builder) scratch(ctx context.Context, app fleet.AppName) (dir string, cleanup func() error, err error) {
	dir, err = filepath.Abs(filepath.Join(b.Scratch, string(app)))
	if err != nil {
		return "", nil, fmt.Errorf("scratch directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", nil, fmt.Errorf("make scratch directory: %w", err)
	}
	lock := flock.New(filepath.Join(b.Scratch, "."+string(app)+".lock"))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return "", nil, fmt.Errorf("wait for another build of %s: %w", app, err)
	}
	if err = removeAll(dir); err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("make scratch directory: %w", err), lock.Unlock())
	}
	return dir, func() error { return errors.Join(removeAll(dir), lock.Unlock()) }, nil
}

// removeAll also removes directories that a build step made read-only, as the Go module cache does.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a directory needs its x
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove scratch directory: %w", err)
	}
	return nil
}

// pack writes the sealed archive of a tree and tells its size.
func pack(ctx context.Context, w io.WriteSeeker, tree string, exclude []string, at time.Time, identity string) (archive.Packed, int64, error) {
	sealer, err := archive.Seal(w, identity)
	if err != nil {
		return archive.Packed{}, 0, err
	}
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	packed, err := archive.PackAt(ctx, sealer, tree, exclude, at)
	if err != nil {
		return archive.Packed{}, 0, err
	}
	if err := sealer.Close(); err != nil {
		return archive.Packed{}, 0, fmt.Errorf("seal archive: %w", err)
	}
	size, err := w.Seek(0, io.SeekEnd)
	if err != nil {
		return archive.Packed{}, 0, fmt.Errorf("seal archive: %w", err)
	}
	return packed, size, nil
}

// checkAppspec refuses here what every minion would refuse, so that nobody is taken out of service for it. The tree has
// been packed: it holds nothing but files, directories and links that stay in it.
func checkAppspec(tree string, exclude []string) error {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return fmt.Errorf("open tree: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	packed, err := archive.View(root.FS(), exclude)
	if err != nil {
		return err
	}
	_, err = appspec.Load(packed)
	return err
}

// Recipe is a digest of all that makes an archive of a commit besides the commit: where its tree comes from and the build
// settings. Timeouts have no part in it.
func Recipe(app fleet.Application) string {
	b := app.Build
	type step struct {
		Run  string            `json:"run,omitempty"`
		Argv []string          `json:"argv,omitempty"`
		Env  map[string]string `json:"env,omitempty"`
	}
	recipe := struct {
		URL        string            `json:"url"`
		Submodules bool              `json:"submodules,omitempty"`
		Steps      []step            `json:"steps,omitempty"`
		Env        map[string]string `json:"env,omitempty"`
		Exclude    []string          `json:"exclude,omitempty"`
	}{URL: app.Source.URL, Submodules: app.Source.Submodules, Env: b.Env, Exclude: b.Exclude}
	for _, s := range b.Steps {
		recipe.Steps = append(recipe.Steps, step{s.Run, s.Argv, s.Env})
	}
	text, _ := json.Marshal(recipe) // strings only: cannot fail, and maps are sorted
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
