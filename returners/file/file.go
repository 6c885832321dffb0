// Package file is the returner that appends records to a file, as JSON lines. The file may be moved away at any time, as
// logrotate does; a new one is begun then.
package file

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
)

// Config is the returner's section.
type Config struct {
	// Path of the file. It and its directory are made when they do not exist.
	Path string `yaml:"path"`

	// Mode of a new file, octal; "0600" when empty, because commands and their output may be secret.
	Mode string `yaml:"mode"`
}

// Plugin is this returner's line in the list.
func Plugin() registry.Plugin[returners.Returner] {
	return registry.Plugin[returners.Returner]{
		Name: "file",
		Help: "JSON lines in a file",
		New: func(s registry.Section, _ *slog.Logger) (returners.Returner, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c)
		},
	}
}

// File appends records to a file.
type File struct {
	path string
	mode fs.FileMode
	f    *os.File // nil: to be opened
}

var _ returners.Returner = (*File)(nil)

// New makes the returner. It opens the file when there is something to write.
func New(c Config) (*File, error) {
	if c.Path == "" {
		return nil, errors.New("path is missing: the file to append to, such as /var/log/brine/records.jsonl")
	}
	mode, err := strconv.ParseUint(cmp.Or(c.Mode, "0600"), 8, 9)
	if err != nil {
		return nil, fmt.Errorf("mode: %q is not an octal mode such as \"0600\"", c.Mode)
	}
	return &File{path: c.Path, mode: fs.FileMode(mode)}, nil
}

// Deliver appends the records, each a line, and returns when they are on the disk. After an error none of them is there.
func (r *File) Deliver(_ context.Context, records []fleet.Record) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return fmt.Errorf("encode record %d: %w", record.Seq, err)
		}
	}
	if err := r.follow(); err != nil {
		return fmt.Errorf("open %s: %w", r.path, err)
	}
	if err := appendTo(r.f, lines.Bytes()); err != nil {
		return errors.Join(fmt.Errorf("append to %s: %w", r.path, err), r.Close())
	}
	return nil
}

// Close closes the file; the next Deliver opens it again.
func (r *File) Close() error {
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f = nil
	return f.Close()
}

// follow makes sure that what is open is what has the path now.
func (r *File) follow() error {
	if r.f != nil {
		opened, err := r.f.Stat()
		if err != nil {
			return err
		}
		if there, err := os.Stat(r.path); err == nil && os.SameFile(opened, there) {
			return nil
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return r.open()
}

func (r *File) open() error {
	dir := filepath.Dir(r.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, r.mode)
	if err != nil {
		return err
	}
	if err := errors.Join(repair(f), syncDir(dir)); err != nil {
		return errors.Join(err, f.Close())
	}
	r.f = f
	return nil
}

// repair cuts off a last line that has no end: a crash was in the middle of it, so its record comes again.
func repair(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	const chunk = 64 << 10
	buf := make([]byte, chunk)
	for end := info.Size(); end > 0; end -= chunk {
		start := max(0, end-chunk)
		part := buf[:end-start]
		if _, err := f.ReadAt(part, start); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return cut(f, info.Size(), start+int64(i)+1)
		}
	}
	return cut(f, info.Size(), 0)
}

func cut(f *os.File, size, to int64) error {
	if size == to {
		return nil
	}
	return f.Truncate(to)
}

// appendTo writes all of b to the end of f, on the disk, or as good as nothing.
func appendTo(f *os.File, b []byte) error {
	before, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err != nil && before.Mode().IsRegular() {
		err = errors.Join(err, f.Truncate(before.Size()))
	}
	return err
}

// syncDir makes a new name in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
