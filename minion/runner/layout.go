package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// layout is how a root holds what is live. The story of a job (deploy.go) is the same for all of them: a layout says where
// things are, installs a release that lies unpacked in its tree, and takes that back.
//
// A method that changes something writes down what back has to know before it does it, so that back works whatever the
// instant at which the minion died. Scripts are run by the job, never by a layout.
type layout interface {
	// places never change.
	places() places
	// check refuses a release before anything has been stopped. tree is its unpacked archive, wherever that is now.
	check(d *deploy, tree *os.Root) error
	// install is the event Install, after BeforeInstall: it may be called again after it was cut short. What it did has to be
	// durable only after the job has synced the root's file system.
	install(ctx context.Context, d *deploy) error
	// back takes install back, all or any part of it; with nothing to take back it does nothing. It may be called again.
	back(d *deploy) error
	// settle drops what only back needs. The release is validated.
	settle(d *deploy) error
	// workDir is where a script of rec runs, absolute. The script itself is the one in the tree of rec.
	workDir(d *deploy, rec *record, event fleet.LifecycleEvent) string
	// changes says what install would do, a line each, without doing it.
	changes(d *deploy, tree *os.Root) ([]string, error)
}

// places are relative to the root.
type places struct {
	trees   string // has a directory for each release: its archive, unpacked
	staging string // has what is on its way in or out; on the file system of trees
	pointer string // symbolic link that says which release is live
	target  string // what is before the release's id in it
	next    string // the pointer's name before it takes the place of the old one
	dirs    []dir  // made at the first job
}

type dir struct {
	name string
	mode fs.FileMode
}

// layouts lists the layouts that this minion knows; the first is what an order without one means.
func layouts() []string { return []string{"releases", "copy", "appspec"} }

func newLayout(o fleet.ReleaseOrder) (layout, error) {
	switch cmp.Or(o.Layout, layouts()[0]) {
	case "releases":
		return releases{}, nil
	case "copy":
		return newCopying(o)
	case "appspec":
		return newPlacing(o)
	default:
		return nil, fmt.Errorf("order: unknown layout %q; known: %s", o.Layout, strings.Join(layouts(), ", "))
	}
}

// layoutFile says which layout a root has.
const layoutFile = privateDir + "/layout"

// layoutOf tells the layout of a root that has one; a root without the file may be of an older minion or another tool.
func layoutOf(root *os.Root) (string, error) {
	text, err := root.ReadFile(layoutFile)
	switch {
	case err == nil:
		return strings.TrimSpace(string(text)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read layout of root: %w", err)
	}
	if _, err := root.Readlink(releases{}.places().pointer); err == nil {
		return "releases", nil
	}
	if _, err := root.Lstat(recordsDir); err == nil {
		return "releases", nil
	}
	return "", nil
}

// sameLayout refuses an order for a root that has another layout: what one of them takes for its own is the other's.
func sameLayout(root *os.Root, o fleet.ReleaseOrder) error {
	have, err := layoutOf(root)
	if want := cmp.Or(o.Layout, layouts()[0]); err == nil && have != "" && have != want {
		return fmt.Errorf("%s has layout %s, and %s is ordered: give the group another root, or move everything in this one away (%s too)",
			o.Root, have, want, filepath.Join(o.Root, privateDir))
	}
	return err
}

// releases is the layout with a link that is switched.
type releases struct{}

var _ layout = releases{}

func (releases) places() places {
	return places{
		trees: "releases", staging: ".staging", pointer: "current", target: "releases", next: privateDir + "/current",
		dirs: []dir{{privateDir, 0o700}, {".staging", 0o700}, {"releases", 0o755}, {sharedDir, 0o755}},
	}
}

func (releases) check(d *deploy, tree *os.Root) error { return checkShared(tree, d.order.Shared) }

func (releases) install(_ context.Context, d *deploy) error { return d.linkShared() }

func (releases) back(*deploy) error { return nil } // the link is the job's

func (releases) settle(*deploy) error { return nil }

func (releases) workDir(d *deploy, rec *record, _ fleet.LifecycleEvent) string {
	return d.site.path(rec)
}

func (releases) changes(d *deploy, _ *os.Root) ([]string, error) {
	var out []string
	for _, text := range d.order.Shared {
		name := strings.TrimSuffix(text, "/")
		line := "link " + name + " to " + sharedDir + "/" + name
		if d.site.root == nil || !slices.Contains(d.site.sharedNames(d.order.Shared), name) {
			line += ", which is made"
		}
		out = append(out, line)
	}
	return out, nil
}
