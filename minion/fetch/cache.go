package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The names in a cache's directory, after the key of the archive.
const (
	wholeEnd = ".age"  // an archive that proved right
	partEnd  = ".part" // what came of one so far
	etagEnd  = ".etag" // which version of it that is, as the server says
)

// partLife is how long the rest of a download is waited for.
const partLife = 24 * time.Hour

// cache keeps the last archives. Nothing is synced: what a crash spoils is found out when it is used. Its methods may be
// called concurrently, for different keys.
type cache struct {
	root     *os.Root
	archives int
	bytes    int64
	evicting sync.Mutex
}

func openCache(dir string, archives int, bytes int64) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	return &cache{root: root, archives: archives, bytes: bytes}, nil
}

// take opens an archive, and makes it the last that was used. It is nil when there is none.
func (c *cache) take(key string) *os.File {
	file, err := c.root.Open(key + wholeEnd)
	if err != nil {
		return nil
	}
	now := time.Now()
	_ = c.root.Chtimes(key+wholeEnd, now, now) // it may go a little early
	return file
}

func (c *cache) remove(key string) {
	for _, end := range []string{wholeEnd, partEnd, etagEnd} {
		_ = c.root.Remove(key + end) // what stays is found out again
	}
}

// has reports whether a whole archive is there, and how much of one.
func (c *cache) has(key string) (whole bool, part int64) {
	if info, err := c.root.Stat(key + wholeEnd); err == nil {
		return true, info.Size()
	}
	if info, err := c.root.Stat(key + partEnd); err == nil {
		part = info.Size()
	}
	return false, part
}

// evict removes the least recently used archives until the others fit. keep stays in any case; a part is as good as a whole
// one, for a day.
func (c *cache) evict(keep string, archives int, bytes int64) {
	c.evicting.Lock()
	defer c.evicting.Unlock()
	entries, err := fs.ReadDir(c.root.FS(), ".")
	if err != nil {
		return
	}
	var all []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) != etagEnd {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range all {
		key := strings.TrimSuffix(info.Name(), filepath.Ext(info.Name()))
		if key == keep {
			archives--
			bytes -= info.Size()
		}
	}
	for _, info := range all {
		end := filepath.Ext(info.Name())
		key := strings.TrimSuffix(info.Name(), end)
		stale := end == partEnd && time.Since(info.ModTime()) > partLife
		switch {
		case key == keep:
		case archives > 0 && info.Size() <= bytes && !stale:
			archives--
			bytes -= info.Size()
		default:
			c.remove(key)
		}
	}
}

// part is what a download leaves in the cache while it runs. The nil one keeps nothing.
type part struct {
	cache *cache
	key   string
	file  *os.File // nil: it could not be written, so nothing is kept
	size  int64
}

// openPart goes on with what an earlier download left. etag is empty when there is nothing.
func (c *cache) openPart(key string) (p *part, etag string) {
	if c == nil {
		return nil, ""
	}
	file, err := c.root.OpenFile(key+partEnd, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ""
	}
	p = &part{cache: c, key: key, file: file}
	text, err := c.root.ReadFile(key + etagEnd)
	info, statErr := file.Stat()
	if errors.Join(err, statErr) != nil || len(text) == 0 || info.Size() == 0 {
		return p, "" // truncated when its download begins
	}
	p.size = info.Size()
	return p, string(text)
}

// begin empties it for another version.
func (p *part) begin(etag string) {
	if p == nil || p.file == nil {
		return
	}
	err := p.file.Truncate(0) // before the name of what comes
	if err == nil {
		err = p.cache.root.WriteFile(p.key+etagEnd, []byte(etag), 0o600)
	}
	p.size = 0
	if err != nil {
		p.drop()
	}
}

// add appends what came. What cannot be kept is no reason to stop.
func (p *part) add(b []byte) {
	if p == nil || p.file == nil {
		return
	}
	n, err := p.file.WriteAt(b, p.size)
	p.size += int64(n)
	if err != nil {
		p.drop()
	}
}

// drop forgets what came.
func (p *part) drop() {
	if p == nil || p.file == nil {
		return
	}
	p.size = 0
	p.close()
}

// complete gives a verified archive its name.
func (p *part) complete() {
	if p == nil || p.file == nil {
		return
	}
	if err := p.cache.root.Rename(p.key+partEnd, p.key+wholeEnd); err != nil {
		p.drop()
		return
	}
	p.drop() // its other names
	p.cache.evict(p.key, p.cache.archives, p.cache.bytes)
}

// close leaves what came to the next try.
func (p *part) close() {
	if p == nil || p.file == nil {
		return
	}
	_ = p.file.Close() // what is not there is missed when it is read
	p.file = nil
	if p.size == 0 {
		_ = p.cache.root.Remove(p.key + partEnd)
		_ = p.cache.root.Remove(p.key + etagEnd)
	}
}
