// Package conffile reads and writes the small files of a host that several programs share, such as /etc/hosts.
package conffile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// limit bounds such files.
const limit = 16 << 20

// Read gives a file's text; a file that is not there is empty.
func Read(path string) (string, error) {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > limit {
		return "", fmt.Errorf("read %s: it has more than %d bytes", path, limit)
	}
	return string(text), nil
}

// Write replaces a file's text at once, and keeps its owner and mode; a new file is for all to read. Where the file is a
// mount of its own, as in containers, it is written in place.
func Write(path, text string) error { return WriteMode(path, text, 0o644) }

// WriteMode is Write, with the mode of a new file.
func WriteMode(path, text string, mode fs.FileMode) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".brine-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	temp := out.Name()
	defer func() { _ = os.Remove(temp) }() // gone already when all went well
	_, err = out.WriteString(text)
	if info, failed := os.Stat(path); failed == nil {
		mode = info.Mode()
		if sys, ok := info.Sys().(*syscall.Stat_t); ok && err == nil && os.Geteuid() == 0 {
			err = out.Chown(int(sys.Uid), int(sys.Gid))
		}
	}
	if err == nil {
		err = out.Chmod(mode)
	}
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if errors.Is(err, syscall.EBUSY) {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
