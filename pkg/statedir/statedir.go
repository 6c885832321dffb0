// Package statedir is a daemon's own directory: for its eyes only, and for one daemon at a time.
package statedir

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Own makes the directory, mode 0700, and keeps other processes from owning it until release is called or this one ends.
func Own(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock state_dir: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("state_dir %s is in use: a daemon with this directory is running", dir)
	}
	return lock.Unlock, nil
}
