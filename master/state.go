package master

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// own makes the state directory, for the master's eyes only, and keeps a second master out of it.
func (m *Master) own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock state_dir: %w", err)
	}
	if !held {
		return fmt.Errorf("state_dir %s is in use by another master", dir)
	}
	m.teardown = append(m.teardown, lock.Unlock)
	return nil
}

const secretBytes = 32

// loadOrCreateSecret gives the random bytes in a file, and makes them the first time.
func loadOrCreateSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	switch {
	case err == nil && len(secret) == secretBytes:
		return secret, nil
	case err == nil:
		return nil, fmt.Errorf("%s has %d bytes, %d expected: remove it, and a new one is made", path, len(secret), secretBytes)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read secret: %w", err)
	}
	secret = make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	if err := renameio.WriteFile(path, secret, 0o600); err != nil {
		return nil, fmt.Errorf("write secret: %w", err)
	}
	return secret, nil
}
