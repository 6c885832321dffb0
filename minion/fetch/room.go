package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Need is what one thing takes on the file system of a directory.
type Need struct {
	Dir    string // need not be there yet
	What   string // in the plural or with a number, as in "2 releases"
	Bytes  int64
	Inodes int64
}

// NoRoomError says that a file system is too full.
type NoRoomError struct {
	Dir        string
	What       string // "disk space" or "inodes"
	Free, Need int64
	Parts      []string
}

func (e *NoRoomError) Error() string {
	show, cure := size, "make room there, or lower keep"
	if e.What == "inodes" {
		show, cure = func(n int64) string { return fmt.Sprintf("%d inodes", n) }, "remove small files there, or lower keep"
	}
	return fmt.Sprintf("not enough %s on the file system of %s: %s are free, %s are needed (%s): %s",
		e.What, e.Dir, show(e.Free), show(e.Need), strings.Join(e.Parts, ", "), cure)
}

// CheckRoom looks whether the ordered release fits: the archive into the cache, the tree and a spare one below the order's
// root. The cache gives way where that helps. It is an error of kind *NoRoomError when it does not fit, and nil when that
// cannot be known.
func (f *Fetcher) CheckRoom(order fleet.ReleaseOrder) error {
	rev := order.Revision
	tree := max(rev.Room, rev.Size) // older revisions do not know their room
	needs := []Need{
		{Dir: order.Root, What: "the release", Bytes: tree, Inodes: int64(rev.Files)},
		{Dir: order.Root, What: "one to spare", Bytes: tree, Inodes: int64(rev.Files)},
	}
	key := string(order.App) + "-" + string(rev.Digest)
	if f.cache != nil && rev.Stored <= f.cfg.Bytes {
		if whole, part := f.cache.has(key); !whole {
			needs = append(needs, Need{Dir: f.cfg.Dir, What: "the archive", Bytes: max(rev.Stored-part, 0), Inodes: 1})
		}
	}
	err := CheckRoom(needs...)
	if _, full := errors.AsType[*NoRoomError](err); full && f.cache != nil {
		f.cache.evict(key, 0, 0)
		err = CheckRoom(needs...)
	}
	return err
}

// CheckRoom looks whether all needs fit into their file systems at once.
func CheckRoom(needs ...Need) error {
	byDevice := map[uint64][]Need{}
	var devices []uint64
	for _, n := range needs {
		dir, device, ok := deviceOf(n.Dir)
		if !ok {
			continue // unknown: writing will tell
		}
		n.Dir = dir
		if !slices.Contains(devices, device) {
			devices = append(devices, device)
		}
		byDevice[device] = append(byDevice[device], n)
	}
	for _, device := range devices {
		if err := checkOne(byDevice[device]); err != nil {
			return err
		}
	}
	return nil
}

func checkOne(needs []Need) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(needs[0].Dir, &st); err != nil {
		return nil //nolint:nilerr // unknown: writing will tell
	}
	blocks := st.Bavail
	if os.Geteuid() == 0 {
		blocks = st.Bfree
	}
	space := &NoRoomError{Dir: needs[0].Dir, What: "disk space", Free: int64(blocks) * st.Bsize} //nolint:gosec // no file system is as big
	inodes := &NoRoomError{Dir: needs[0].Dir, What: "inodes", Free: int64(st.Ffree)}             //nolint:gosec // the same
	for _, n := range needs {
		space.Need += n.Bytes
		space.Parts = append(space.Parts, n.What+" "+size(n.Bytes))
		inodes.Need += n.Inodes
		inodes.Parts = append(inodes.Parts, fmt.Sprintf("%s %d", n.What, n.Inodes))
	}
	switch {
	case space.Need > space.Free:
		return space
	case st.Files > 0 && inodes.Need > inodes.Free: // some file systems have no fixed number
		return inodes
	default:
		return nil
	}
}

// deviceOf finds the file system that a directory is on, or will be.
func deviceOf(dir string) (existing string, device uint64, ok bool) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil {
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return "", 0, false
			}
			return at, st.Dev, true
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return "", 0, false
		}
	}
}

func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
