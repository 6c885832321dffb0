// Package source is the contract of the places that code comes from. Drivers live in the folders below and are listed in
// the package all.
package source

import (
	"context"
	"errors"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// ErrUnknownRef says that the source was reached and has no such ref.
var ErrUnknownRef = errors.New("unknown ref")

// Source gives the trees of one application. Its methods may be called concurrently.
type Source interface {
	// Resolve says what ref means now. An unknown ref gives an error that wraps ErrUnknownRef and names refs that exist;
	// any other error means that the source could not be asked. An empty ref is the source's default.
	Resolve(ctx context.Context, ref string) (fleet.Origin, error)

	// Export writes the tree of a resolved origin into dir, which exists and is empty. It gives the same tree for the
	// same origin for ever, without the source's own metadata.
	Export(ctx context.Context, origin fleet.Origin, dir string) error
}

// Historian is a source that knows what lies between two of its commits.
type Historian interface {
	// Between lists the commits that to has and from has not, newest first, at most limit of them, and the paths of the
	// files that differ, sorted. Both commits were resolved before.
	Between(ctx context.Context, from, to string, limit int) (commits []fleet.Origin, files []string, err error)
}
