package inplace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/pkg/appspec"
)

// record is what the host knows of the installs of one application and group. It lies in one file, replaced atomically.
type record struct {
	Owned []appspec.Owned `json:"owned"`

	// Foreign is there while an install is at work: the inodes of the files that it is going to overwrite and that belong to
	// somebody else until it does.
	Foreign map[string]uint64 `json:"foreign,omitempty"`
	Working bool              `json:"working,omitempty"`
}

func loadRecord(file string) (record, error) {
	var r record
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read what is installed: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read what is installed (%s): %w", file, err)
	}
	return r, nil
}

// save replaces the record durably.
func (r record) save(file string) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = renameio.WriteFile(file, data, 0o600, renameio.IgnoreUmask())
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("write down what is installed: %w", err)
	}
	return nil
}

func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// settled is what is ours after an install that did not come to its end: what is there of all that might be, and the half of
// a file that is called half.
func (r record) settled(half string) []appspec.Owned {
	if !r.Working {
		return r.Owned
	}
	var out []appspec.Owned
	at, seen := &looker{}, map[string]bool{}
	defer at.close()
	for _, o := range r.Owned {
		if dir := path.Dir(o.Path); !seen[dir] {
			seen[dir] = true
			if _, there := at.look(path.Join(dir, half)); there {
				out = append(out, appspec.Owned{Path: path.Join(dir, half)})
			}
		}
		if _, label := contextLabel(o.Path); label {
			out = append(out, o)
			continue
		}
		st, there := at.look(o.Path)
		foreign, is := r.Foreign[o.Path]
		if there && o.Dir == isDir(st) && (!is || foreign != st.Ino) {
			out = append(out, o)
		}
	}
	return out
}

// looker looks at places without following a link.
type looker struct{ at *directory }

func (l *looker) close() {
	if l.at != nil {
		l.at.close()
	}
}

// dir opens the directory of a path, or goes on with the one that is open.
func (l *looker) dir(name string) (*directory, error) {
	dir := path.Dir(name)
	if l.at != nil && l.at.path == dir {
		return l.at, nil
	}
	d, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	l.close()
	l.at = d
	return d, nil
}

func (l *looker) look(name string) (unix.Stat_t, bool) {
	var st unix.Stat_t
	d, err := l.dir(name)
	return st, err == nil && unix.Fstatat(d.fd, path.Base(name), &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}

func isDir(st unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }
