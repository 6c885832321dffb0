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
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/pkg/modules"
)

// Server is who has the files.
type Server interface {
	// Index gives the index of all files; nothing when its digest is the known one.
	Index(ctx context.Context, known string) (Index, error)
	// Chunk gives the bytes of a file from an offset on, ChunkSize of them or up to its end. It fails when the file is not
	// what the entry says any more.
	Chunk(ctx context.Context, saltenv string, entry Entry, offset int64) ([]byte, error)
}

// ChunkSize is how much of a file comes at a time, in bytes.
const ChunkSize = 512 << 10

// ahead is how many chunks of a file may be asked for at once.
const ahead = 2

// FileLimit bounds one file, in bytes.
const FileLimit = 4 << 30

var _ modules.Files = (*Remote)(nil)

// Remote are files that a server has, kept below a directory by their digests. Make it with NewRemote. What was fetched
// once can be opened without the server.
type Remote struct {
	dir    string
	server Server

	mu     sync.Mutex
	index  Index                  // guarded by mu; nil before the first
	digest string                 // guarded by mu; of index
	busy   map[string]*sync.Mutex // guarded by mu; held while the file of a digest is fetched
}

// NewRemote keeps files of a server below dir, which is made when it is not there. It knows what an earlier one knew.
func NewRemote(dir string, server Server) (*Remote, error) {
	for _, sub := range []string{"objects", "partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make cache of files: %w", err)
		}
	}
	r := &Remote{dir: dir, server: server, busy: map[string]*sync.Mutex{}}
	text, err := os.ReadFile(r.indexFile())
	if err == nil && json.Unmarshal(text, &r.index) == nil {
		r.digest = r.index.Digest()
	}
	return r, nil
}

func (r *Remote) indexFile() string { return filepath.Join(r.dir, "index.json") }

// Refresh asks the server what there is now. What is not there any more is removed from the cache.
func (r *Remote) Refresh(ctx context.Context) error {
	r.mu.Lock()
	known := r.digest
	r.mu.Unlock()
	index, err := r.server.Index(ctx, known)
	if err != nil {
		return fmt.Errorf("ask for files: %w", err)
	}
	if index == nil {
		return nil
	}
	if err := index.check(); err != nil {
		return err
	}
	text, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("encode index: %w", err)
	}
	if err := renameio.WriteFile(r.indexFile(), text, 0o600); err != nil {
		return fmt.Errorf("keep index: %w", err)
	}
	r.mu.Lock()
	r.index, r.digest = index, index.Digest()
	r.mu.Unlock()
	return r.prune(index)
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check refuses what would be no name below a directory.
func (x Index) check() error {
	for env, entries := range x {
		for _, e := range entries {
			dir := strings.HasSuffix(e.Name, "/")
			if !fs.ValidPath(strings.TrimSuffix(e.Name, "/")) || !dir && !hexDigest.MatchString(e.Digest) || e.Size < 0 || e.Size > FileLimit {
				return fmt.Errorf("index of files: %q of %s is no file", e.Name, env)
			}
		}
	}
	return nil
}

// prune removes what the index does not name. A file that is open stays readable.
func (r *Remote) prune(index Index) error {
	wanted := map[string]bool{}
	for _, entries := range index {
		for _, e := range entries {
			wanted[e.Digest] = true
		}
	}
	kept, err := os.ReadDir(filepath.Join(r.dir, "objects"))
	if err != nil {
		return fmt.Errorf("clean cache of files: %w", err)
	}
	for _, e := range kept {
		if !wanted[e.Name()] {
			if err := os.Remove(filepath.Join(r.dir, "objects", e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("clean cache of files: %w", err)
			}
		}
	}
	return nil
}

// current is the index; the server is asked when there is none yet.
func (r *Remote) current(ctx context.Context) (Index, error) {
	r.mu.Lock()
	index := r.index
	r.mu.Unlock()
	if index != nil {
		return index, nil
	}
	if err := r.Refresh(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.index, nil
}

// Environments gives the environments that the server has, sorted.
func (r *Remote) Environments(ctx context.Context) ([]string, error) {
	index, err := r.current(ctx)
	return slices.Sorted(maps.Keys(index)), err
}

// List gives the names of all files of an environment below a directory, sorted; those of empty directories end in a slash.
func (r *Remote) List(ctx context.Context, saltenv, dir string) ([]string, error) {
	index, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	below, ok := inside(dir)
	if !ok {
		return nil, nil
	}
	var names []string
	for _, e := range index[saltenv] {
		if below == "." || strings.HasPrefix(e.Name, below+"/") {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// Open opens a file of an environment; it is fetched first when it is not here yet. One that has changed on the server
// meanwhile is opened as it is now.
func (r *Remote) Open(ctx context.Context, saltenv, name string) (io.ReadCloser, fs.FileInfo, error) {
	entry, err := r.find(ctx, saltenv, name)
	if err != nil {
		return nil, nil, err
	}
	f, info, err := r.open(ctx, saltenv, entry)
	if err == nil || ctx.Err() != nil {
		return f, info, err
	}
	if again := r.Refresh(ctx); again != nil {
		return nil, nil, err
	}
	now, lost := r.find(ctx, saltenv, name)
	switch {
	case lost != nil:
		return nil, nil, lost
	case now.Digest == entry.Digest:
		return nil, nil, err
	}
	return r.open(ctx, saltenv, now)
}

// find gives the entry of a file.
func (r *Remote) find(ctx context.Context, saltenv, name string) (Entry, error) {
	index, err := r.current(ctx)
	if err != nil {
		return Entry{}, err
	}
	clean, ok := inside(name)
	at, found := slices.BinarySearchFunc(index[saltenv], clean, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
	if !ok || !found {
		return Entry{}, notThere(saltenv, name)
	}
	return index[saltenv][at], nil
}

func (r *Remote) open(ctx context.Context, saltenv string, entry Entry) (io.ReadCloser, fs.FileInfo, error) {
	object := filepath.Join(r.dir, "objects", entry.Digest)
	f, err := os.Open(object)
	if errors.Is(err, fs.ErrNotExist) {
		if err = r.fetch(ctx, saltenv, entry, object); err == nil {
			f, err = os.Open(object)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("fetch salt://%s: %w", entry.Name, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, described{info, entry}, nil
}

// described is a file as the server has it.
type described struct {
	fs.FileInfo
	entry Entry
}

func (d described) Name() string      { return path.Base(d.entry.Name) }
func (d described) Mode() fs.FileMode { return d.entry.Mode }

// fetch puts a file into the cache, once however many want it.
func (r *Remote) fetch(ctx context.Context, saltenv string, entry Entry, object string) error {
	r.mu.Lock()
	one, ok := r.busy[entry.Digest]
	if !ok {
		one = &sync.Mutex{}
		r.busy[entry.Digest] = one
	}
	r.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	if _, err := os.Stat(object); err == nil {
		return nil
	}
	f, err := os.CreateTemp(filepath.Join(r.dir, "partial"), entry.Digest[:16]+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // after a success it has another name
	if err := errors.Join(r.download(ctx, saltenv, entry, f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), object)
}

func (r *Remote) download(ctx context.Context, saltenv string, entry Entry, into *os.File) error {
	g, chunks := errgroup.WithContext(ctx)
	g.SetLimit(ahead)
	for offset := int64(0); offset < entry.Size && chunks.Err() == nil; offset += ChunkSize {
		g.Go(func() error {
			piece, err := r.server.Chunk(chunks, saltenv, entry, offset)
			if err != nil {
				return err
			}
			if want := min(ChunkSize, entry.Size-offset); int64(len(piece)) != want {
				return fmt.Errorf("%d bytes at %d instead of %d", len(piece), offset, want)
			}
			_, err = into.WriteAt(piece, offset)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := into.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, into); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != entry.Digest {
		return fmt.Errorf("what came has the digest %s instead of %s", got, entry.Digest)
	}
	return nil
}

// Sweep removes what interrupted fetches have left. Call it before others use the Remote.
func (r *Remote) Sweep(older time.Duration) error {
	left, err := os.ReadDir(filepath.Join(r.dir, "partial"))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range left {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) >= older {
			errs = append(errs, os.Remove(filepath.Join(r.dir, "partial", e.Name())))
		}
	}
	return errors.Join(errs...)
}
