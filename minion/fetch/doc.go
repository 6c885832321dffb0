// Package fetch brings an archive onto this host: is there room for it, is it here already, else over HTTP, however often
// the connection is cut; then opened, unpacked and verified. Archives that proved right stay in a cache, so that
// going back to one of them downloads nothing.
//
// The cache holds archives as they were stored: sealed. The key to one comes with each job and is never written down, so
// a cache that is copied away is worth nothing, and what is taken from it is verified as if it came from the store.
package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Config is what a Fetcher needs to know.
type Config struct {
	Dir        string        // of the cache, made when missing; one Fetcher at a time may have it. Empty: nothing is kept
	Archives   int           // that are kept; 5 when zero
	Bytes      int64         // that they may have together; 2 GiB when zero. A larger one is not kept
	MasterHost string        // put into a URL that has no host
	HTTP       *http.Client  // http.DefaultClient when nil
	Log        *slog.Logger  // discarded when nil
	Version    string        // of the minion, for the server's log
	Pause      time.Duration // before the second try of a download; it doubles. 250 ms when zero
	Stall      time.Duration // without a byte, then a connection counts as cut; a minute when zero
}

// Fetcher fetches for all applications of this host. Its methods may be called concurrently; those who want the same
// archive wait for each other, so that it is downloaded once.
type Fetcher struct {
	cfg   Config
	cache *cache // nil: nothing is kept

	mu   sync.Mutex
	busy map[string]chan struct{} // keys that somebody works on, closed at the end; guarded by mu
}

// New makes a Fetcher.
func New(cfg Config) (*Fetcher, error) {
	cfg.HTTP = cmp.Or(cfg.HTTP, http.DefaultClient)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Archives = cmp.Or(cfg.Archives, 5)
	cfg.Bytes = cmp.Or(cfg.Bytes, 2<<30)
	cfg.Pause = cmp.Or(cfg.Pause, 250*time.Millisecond)
	cfg.Stall = cmp.Or(cfg.Stall, time.Minute)
	f := &Fetcher{cfg: cfg, busy: map[string]chan struct{}{}}
	if cfg.Dir == "" {
		return f, nil
	}
	var err error
	f.cache, err = openCache(cfg.Dir, cfg.Archives, cfg.Bytes)
	return f, err
}

// Close gives up the cache's directory.
func (f *Fetcher) Close() error {
	if f.cache == nil {
		return nil
	}
	return f.cache.root.Close()
}

// Unpack brings the ordered archive into dir, which exists and is empty, and tells what people want to know of the way. An
// order with Force does not ask the cache. After an error the content of dir is worth nothing.
//
// Errors: those of archive.Open and archive.Unpack, or what the server said at last. They never tell the URL's query,
// which may be a secret.
func (f *Fetcher) Unpack(ctx context.Context, order fleet.ReleaseOrder, dir string) (note string, err error) {
	key := string(order.App) + "-" + string(order.Revision.Digest)
	done, err := f.claim(ctx, key)
	if err != nil {
		return "", err
	}
	defer done()
	note, err = f.unpack(ctx, key, order, dir)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("no room on the file system of %s: make room there, or lower keep: %w", order.Root, err)
	}
	return note, err
}

func (f *Fetcher) unpack(ctx context.Context, key string, order fleet.ReleaseOrder, dir string) (note string, err error) {
	if !order.Force {
		if hit, err := f.fromCache(ctx, key, order, dir); hit {
			return "taken from the cache of this host", err
		}
	}
	d, err := f.start(key, order)
	if err != nil {
		return "", err
	}
	resumed := d.resumed
	err = f.download(ctx, d, order, dir)
	if errors.Is(err, errChanged) || resumed > 0 && isBad(err) { // what an earlier try left does not fit
		resumed = 0
		if err = empty(dir); err == nil {
			d.startOver()
			err = f.download(ctx, d, order, dir)
		}
	}
	if err == nil && resumed > 0 {
		note = fmt.Sprintf("went on at byte %d of an earlier download", resumed)
	}
	return note, err
}

// What is read ahead of the decryption.
const (
	aheadSize  = 128 << 10
	aheadCount = 8
)

// errEnough ends a download whose bytes nobody wants any more.
var errEnough = errors.New("what came before could not be used")

// download runs one download to its end, and keeps what it gave when it is right.
func (f *Fetcher) download(ctx context.Context, d *download, order fleet.ReleaseOrder, dir string) error {
	reading, cancel := context.WithCancelCause(ctx)
	d.ctx = reading
	ahead := archive.ReadAhead(d, aheadSize, aheadCount)
	err := open(ctx, ahead, order, dir)
	cancel(errEnough)
	ahead.Close()
	defer d.close()
	if err == nil {
		d.part.complete()
		return nil
	}
	if d.err != nil && !errors.Is(d.err, errEnough) {
		return d.err // clearer than what the decoder makes of it; what came so far is kept for the next try
	}
	if isBad(err) {
		d.part.drop()
	}
	return err
}

func open(ctx context.Context, sealed io.Reader, order fleet.ReleaseOrder, dir string) error {
	plain, err := archive.Open(sealed, order.Identity)
	if err != nil {
		return err
	}
	return archive.Unpack(ctx, plain, dir, order.Revision.Digest, archive.Limits{})
}

// fromCache unpacks the kept archive. It is no hit when there is none, or a bad one, which goes away.
func (f *Fetcher) fromCache(ctx context.Context, key string, order fleet.ReleaseOrder, dir string) (hit bool, err error) {
	if f.cache == nil {
		return false, nil
	}
	file := f.cache.take(key)
	if file == nil {
		return false, nil
	}
	defer func() { _ = file.Close() }() // only read from
	err = open(ctx, file, order, dir)
	if !isBad(err) {
		return true, err
	}
	f.cfg.Log.Warn("archive in the cache is not right any more", "archive", key, "error", err)
	f.cache.remove(key)
	return false, empty(dir)
}

// isBad reports whether the bytes are to blame: others may be right.
func isBad(err error) bool {
	return errors.Is(err, archive.ErrAltered) || errors.Is(err, archive.ErrDigest)
}

// empty makes dir as it was at the start.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		return fmt.Errorf("begin again in %s: %w", dir, err)
	}
	return nil
}

// claim waits until nobody else works on the key.
func (f *Fetcher) claim(ctx context.Context, key string) (done func(), err error) {
	for {
		f.mu.Lock()
		other := f.busy[key]
		if other == nil {
			mine := make(chan struct{})
			f.busy[key] = mine
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				delete(f.busy, key)
				close(mine)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another download of the same archive: %w", context.Cause(ctx))
		}
	}
}
