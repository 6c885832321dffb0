package inplace

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/brine-deploy/brine/pkg/appspec"
)

// Host is this machine.
type Host struct{}

var _ appspec.Host = Host{}

// CheckRevision looks for what is wrong with an install on any host: a revision that contradicts itself. tree has its files.
func CheckRevision(spec *appspec.Spec, tree *os.Root) error {
	_, err := appspec.NewPlan(spec, tree.FS(), nowhere{}, nil, appspec.Disallow)
	return err
}

// nowhere is a host on which nothing is.
type nowhere struct{}

func (nowhere) Lstat(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }
func (nowhere) Stat(string) (fs.FileInfo, error)  { return nil, fs.ErrNotExist }
func (nowhere) Names(string) ([]string, error)    { return nil, fs.ErrNotExist }
func (nowhere) Real(name string) string           { return name }

// Lstat is os.Lstat.
func (Host) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// Stat is os.Stat.
func (Host) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// Names lists a directory.
func (Host) Names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// Real is name without symbolic links.
func (Host) Real(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return name
}
