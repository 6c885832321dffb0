// Package dir stores archives in a directory of the master: the default.
package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/pkg/store"
)

var _ store.Driver = (*Dir)(nil)

// Plugin is the line for the list of drivers.
var Plugin = registry.Plugin[store.Driver]{Name: "dir", Help: "a directory of the master", New: open}

// Config is the section of the driver.
type Config struct {
	Path string `yaml:"path"` // the directory; made when it is not there
}

func open(section registry.Section, _ *slog.Logger) (store.Driver, error) {
	var cfg Config
	if err := section.Decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg)
}

// Dir is a store.Driver on a file system that has hard links. Directories have mode 0700, objects 0600.
type Dir struct {
	root *os.Root
}

// temporary begins the names of objects that are being written. No object's name has a part that begins with a dot.
const temporary = ".new-"

// abandoned is the age at which a temporary file belongs to no Put any more.
const abandoned = 24 * time.Hour

// New opens the directory, and removes what a crash has left in it.
func New(cfg Config) (*Dir, error) {
	if cfg.Path == "" {
		return nil, errors.New("path is missing: the directory for the archives")
	}
	if err := os.MkdirAll(cfg.Path, 0o700); err != nil {
		return nil, fmt.Errorf("make store directory: %w", err)
	}
	root, err := os.OpenRoot(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open store directory: %w", err)
	}
	d := &Dir{root: root}
	if err := d.sweep(time.Now().Add(-abandoned)); err != nil {
		return nil, fmt.Errorf("sweep store directory: %w", err)
	}
	return d, nil
}

func (d *Dir) sweep(before time.Time) error {
	return d.walk(func(name string, e fs.DirEntry) error {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), temporary) || info.ModTime().After(before) {
			return nil //nolint:nilerr // what has just gone away need not be swept
		}
		return d.root.Remove(name)
	})
}

// Put implements store.Driver. The object appears by link(2), which replaces nothing, when all of it is on the disk.
func (d *Dir) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if _, err := d.root.Lstat(name); err == nil {
		return store.ErrExists
	}
	folder := path.Dir(name)
	if err := d.root.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temp := path.Join(folder, temporary+rand.Text())
	err := d.write(ctx, temp, r, size)
	if err == nil {
		err = d.root.Link(temp, name)
	}
	if gone := d.root.Remove(temp); err == nil && !errors.Is(gone, fs.ErrNotExist) {
		err = gone
	}
	if errors.Is(err, fs.ErrExist) {
		return store.ErrExists
	}
	if err != nil {
		return err
	}
	return errors.Join(d.sync(folder), d.sync(path.Dir(folder)))
}

func (d *Dir) write(ctx context.Context, temp string, r io.Reader, size int64) error {
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, canceler{ctx, r})
	if err == nil && n != size {
		err = fmt.Errorf("write %s: %d bytes instead of %d", temp, n, size)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// sync makes the entries of a directory durable.
func (d *Dir) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// canceler is a reader that ends with its context.
type canceler struct {
	ctx context.Context
	r   io.Reader
}

func (c canceler) Read(b []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// Get implements store.Driver.
func (d *Dir) Get(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, orNotFound(err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	return f, nil
}

// Stat implements store.Driver.
func (d *Dir) Stat(_ context.Context, name string) (int64, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return 0, orNotFound(err)
	}
	if !info.Mode().IsRegular() {
		return 0, store.ErrNotFound
	}
	return info.Size(), nil
}

func orNotFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return store.ErrNotFound
	}
	return err
}

// List implements store.Driver.
func (d *Dir) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := d.walk(func(name string, e fs.DirEntry) error {
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, name)
		}
		return ctx.Err()
	})
	return names, err
}

// walk calls visit for each file, sorted by name.
func (d *Dir) walk(visit func(name string, e fs.DirEntry) error) error {
	return fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return visit(name, e)
	})
}

// Delete implements store.Driver.
func (d *Dir) Delete(_ context.Context, name string) error {
	if err := d.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
