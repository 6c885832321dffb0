package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/minion/process"
)

// state is what this host knows of one application and group, held by one deployment at a time.
type state struct {
	deployments string // a directory for each revision that is kept
	installs    string
	lock        *flock.Flock
	last        last
}

// last tells of the revision that was installed last.
type last struct {
	Deployment string `json:"deployment"`
	Appspec    string `json:"appspec"` // path in the revision
}

func openState(ctx context.Context, o Options) (*state, error) {
	below := filepath.Join(fileName(cmp.Or(o.Application, defaultApplication)), fileName(o.Group))
	s := &state{deployments: filepath.Join(o.StateDir, "deployments", below), installs: filepath.Join(o.StateDir, "installs", below)}
	for _, dir := range []string{s.deployments, s.installs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make state directory: %w", err)
		}
	}
	s.lock = flock.New(filepath.Join(s.installs, "lock"), flock.SetPermissions(0o600))
	if held, err := s.lock.TryLockContext(ctx, 50*time.Millisecond); !held {
		return nil, fmt.Errorf("wait for another deployment of this group: %w", cmp.Or(context.Cause(ctx), err))
	}
	data, err := os.ReadFile(s.lastFile())
	if err == nil {
		err = json.Unmarshal(data, &s.last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("read state %s: %w", s.lastFile(), err), s.lock.Close())
	}
	return s, nil
}

func (s *state) close() { _ = s.lock.Close() } // the lock ends with its descriptor

// fileName makes a name of one path element of any text.
func fileName(text string) string {
	name := url.PathEscape(text)
	if strings.Trim(name, ".") == "" {
		return "%" + name
	}
	return name
}

func (s *state) lastFile() string { return filepath.Join(s.installs, "last.json") }

// runningFile holds the mark of the script that is at work.
func (s *state) runningFile() string { return filepath.Join(s.installs, "running") }

// endLeftover ends a script whose deployment was killed, and all that it started: it must not work beside the next one.
func (s *state) endLeftover() (found bool) {
	mark, err := os.ReadFile(s.runningFile())
	if err != nil {
		return false
	}
	process.EndMarked(string(mark), process.DefaultGrace)
	return os.Remove(s.runningFile()) == nil
}

// setLast is durable when it returns.
func (s *state) setLast(l last) error {
	data, err := json.Marshal(l)
	if err == nil {
		err = renameio.WriteFile(s.lastFile(), data, 0o600, renameio.IgnoreUmask())
	}
	if err != nil {
		return fmt.Errorf("write down what was installed: %w", err)
	}
	s.last = l
	return nil
}

func (s *state) dir(deployment string) string { return filepath.Join(s.deployments, deployment) }

// newID makes an id such as the agent's.
func newID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	random := make([]byte, 9)
	_, _ = rand.Read(random) // never fails
	for i, b := range random {
		random[i] = alphabet[int(b)%len(alphabet)]
	}
	return "d-" + string(random) + "-local"
}

// prune keeps so many revisions, the current one and the one installed last among them. The oldest go first.
func (s *state) prune(current string) error {
	entries, err := os.ReadDir(s.deployments)
	if err != nil {
		return fmt.Errorf("list revisions: %w", err)
	}
	type revision struct {
		name    string
		changed time.Time
	}
	var old []revision
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != current {
			old = append(old, revision{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(old, func(a, b revision) int { return a.changed.Compare(b.changed) })
	for i, spare := 0, len(old)+1-keptRevisions; i < len(old) && spare > 0; i++ {
		if old[i].name == s.last.Deployment {
			continue
		}
		if err := os.RemoveAll(s.dir(old[i].name)); err != nil {
			return fmt.Errorf("remove old revision: %w", err)
		}
		spare--
	}
	return nil
}
