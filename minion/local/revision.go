package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	room "github.com/brine-deploy/brine/minion/fetch"
	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// revision is an unpacked bundle with its appspec.
type revision struct {
	dir     string
	root    *os.Root
	appspec string // path in it
	spec    *appspec.Spec
}

const archiveDir = "deployment-archive"

// fetch copies a directory or unpacks an archive, so that scripts may change it and that it is there for the next
// deployment.
func fetch(ctx context.Context, o Options, dir string) error {
	to := filepath.Join(dir, archiveDir)
	if err := os.Mkdir(to, 0o755); err != nil {
		return fmt.Errorf("make revision: %w", err)
	}
	kind := archive.Kind(o.Type)
	if err := checkRoom(ctx, o.Bundle, kind, dir); err != nil {
		return err
	}
	return archive.UnpackBundle(ctx, o.Bundle, kind, to, archive.Limits{})
}

// checkRoom looks whether the bundle fits, with one to spare: for what is installed from it.
func checkRoom(ctx context.Context, bundle string, kind archive.Kind, dir string) error {
	extent, err := archive.MeasureBundle(ctx, bundle, kind)
	if err != nil {
		return err
	}
	need := func(what string) room.Need {
		return room.Need{Dir: dir, What: what, Bytes: extent.Bytes, Inodes: extent.Inodes}
	}
	return room.CheckRoom(need("the revision"), need("one to spare"))
}

// openRevision reads the first of the appspecs that is there.
func openRevision(dir string, appspecs []string, custom []fleet.LifecycleEvent) (*revision, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open revision: %w", err)
	}
	for _, name := range appspecs {
		data, err := readSmall(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), root.Close())
		}
		spec, err := appspec.Parse(name, data, custom...)
		if err != nil {
			return nil, errors.Join(err, root.Close())
		}
		return &revision{dir: dir, root: root, appspec: name, spec: spec}, nil
	}
	return nil, errors.Join(fmt.Errorf("did not find an AppSpec file within the unpacked revision directory at revision-relative path %q", appspecs[0]), root.Close())
}

// readSmall reads a file that has no reason to be big.
func readSmall(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, 2<<20))
}

// close may be called on nil.
func (r *revision) close() {
	if r != nil {
		_ = r.root.Close()
	}
}
