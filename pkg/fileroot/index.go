package fileroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/modules"
)

// Entry is one file of an environment, or an empty directory, whose name ends in a slash.
type Entry struct {
	Name   string      `json:"name"`
	Size   int64       `json:"size,omitempty"`
	Digest string      `json:"digest,omitempty"` // SHA-256 of the content, in hex
	Mode   fs.FileMode `json:"mode,omitempty"`   // permissions
}

// Index lists all files of all environments, each sorted by name.
type Index map[string][]Entry

// Digest names an index by what is in it.
func (x Index) Digest() string {
	text, err := json.Marshal(x)
	if err != nil {
		return "" // plain data always has a form
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Indexer makes indexes, and remembers digests of files that have not changed since. The zero Indexer is ready; it may be
// used concurrently.
type Indexer struct {
	mu    sync.Mutex
	known map[string]stamped // guarded by mu; by environment and name
}

// stamped is a digest, and what the file was like.
type stamped struct {
	size   int64
	time   time.Time
	digest string
}

// settled is how old a change must be to be told from a later one by its time alone.
const settled = 2 * time.Second

// Index reads what is there now. It holds back other calls meanwhile.
func (x *Indexer) Index(ctx context.Context, files modules.Files) (Index, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	environments, err := files.Environments(ctx)
	if err != nil {
		return nil, err
	}
	now, known, out := time.Now(), map[string]stamped{}, Index{}
	for _, env := range environments {
		names, err := files.List(ctx, env, "")
		if err != nil {
			return nil, err
		}
		out[env] = []Entry{}
		for _, name := range names {
			if strings.HasSuffix(name, "/") {
				out[env] = append(out[env], Entry{Name: name})
				continue
			}
			key := env + "\x00" + name
			entry, stamp, err := x.entry(ctx, files, env, name, x.known[key])
			if errors.Is(err, fs.ErrNotExist) {
				continue // it went away
			}
			if err != nil {
				return nil, fmt.Errorf("index %s of %s: %w", name, env, err)
			}
			if now.Sub(stamp.time) > settled {
				known[key] = stamp
			}
			out[env] = append(out[env], entry)
		}
	}
	x.known = known
	return out, nil
}

func (x *Indexer) entry(ctx context.Context, files modules.Files, env, name string, before stamped) (Entry, stamped, error) {
	f, info, err := files.Open(ctx, env, name)
	if err != nil {
		return Entry{}, stamped{}, err
	}
	defer func() { _ = f.Close() }() // read only
	now := stamped{info.Size(), info.ModTime(), before.digest}
	if now != before || now.digest == "" {
		h := sha256.New()
		if now.size, err = io.Copy(h, f); err != nil {
			return Entry{}, stamped{}, err
		}
		now.digest = hex.EncodeToString(h.Sum(nil))
	}
	return Entry{Name: name, Size: now.size, Digest: now.digest, Mode: info.Mode().Perm()}, now, nil
}
