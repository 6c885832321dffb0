package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// maxListings is how many listings are kept: reading a large archive through takes longer than all else of a state that has
// nothing to do.
const maxListings = 64

// listing is what is kept of contents.
type listing struct {
	Dirs, Files, Links, TopDirs, TopFiles, TopLinks, Seen []string
}

// listed is list, from the cache when the same archive was read through before.
func (o *opened) listed(ctx context.Context) (*contents, error) {
	if o.blob.SHA256 == "" || o.host.Cache == "" {
		return o.list(ctx)
	}
	dir := filepath.Join(o.host.Cache, "listings")
	name := filepath.Join(dir, fmt.Sprintf("%s.%s.%d", o.blob.SHA256, o.format, o.strip))
	var k listing
	if text, err := os.ReadFile(name); err == nil && json.Unmarshal(text, &k) == nil && len(k.Seen) > 0 {
		return &contents{k.Dirs, k.Files, k.Links, k.TopDirs, k.TopFiles, k.TopLinks, k.Seen}, nil
	}
	c, err := o.list(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(listing{c.dirs, c.files, c.links, c.topDirs, c.topFiles, c.topLinks, c.seen})
	if err == nil && os.MkdirAll(dir, 0o700) == nil {
		_ = renameio.WriteFile(name, text, 0o600) //nolint:errcheck // without it, it is read through again
		prune(dir)
	}
	return c, nil
}

// prune removes the oldest listings that are too many.
func prune(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) <= maxListings {
		return
	}
	age := func(e os.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return int(min(1, max(-1, age(a)-age(b)))) })
	for _, old := range entries[:len(entries)-maxListings] {
		_ = os.Remove(filepath.Join(dir, old.Name())) //nolint:errcheck // the next one removes it
	}
}
