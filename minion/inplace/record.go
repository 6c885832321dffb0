package inplace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"

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

// settled is what is ours after an install that did not come to its end.
func (r record) settled() []appspec.Owned {
	var out []appspec.Owned
	for _, o := range r.Owned {
		if inode, foreign := r.Foreign[o.Path]; !foreign || inodeOf(o.Path) != inode {
			out = append(out, o)
		}
	}
	return out
}

func inodeOf(name string) uint64 {
	info, err := os.Lstat(name)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
