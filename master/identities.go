package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// identities keeps the age identity of each application, a file each, in a directory that only the master reads.
type identities struct {
	dir string
	mu  *sync.Mutex // two first builds must not make two identities
}

// of gives an application's identity, and makes it the first time.
func (i identities) of(app fleet.AppName) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	path := filepath.Join(i.dir, string(app)+".age")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read identity of %s: %w", app, err)
	}
	identity, err := archive.NewIdentity()
	if err != nil {
		return "", fmt.Errorf("make identity of %s: %w", app, err)
	}
	if err := os.MkdirAll(i.dir, 0o700); err != nil {
		return "", fmt.Errorf("make %s: %w", i.dir, err)
	}
	if err := renameio.WriteFile(path, []byte(identity+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write identity of %s: %w", app, err)
	}
	return identity, nil
}
