// Package keyfile keeps one secret in one file: a line of base64 that only its owner can read.
package keyfile

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Load returns the secret in the file at path, which has to be size bytes long. A file that others than its owner can
// read or write is refused; a file that is not there is fs.ErrNotExist.
func Load(path string, size int) ([]byte, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != size {
		return nil, fmt.Errorf("key file %s does not hold base64 of %d bytes", path, size)
	}
	return secret, nil
}

const maxFile = 4 << 10

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("key file %s is open to others (mode %04o): chmod 600 it, or make a new key if others may have read it", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return "", fmt.Errorf("read key file: %w", err)
	}
	return string(b), nil
}

// LoadOrCreate returns the secret in the file at path. When there is no file it makes one, mode 0600, that holds what
// generate gives. The file appears whole or not at all, and of several that create it at once one wins.
func LoadOrCreate(path string, size int, generate func() ([]byte, error)) ([]byte, error) {
	secret, err := Load(path, size)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if secret, err = generate(); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	if err := create(path, secret); err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	return Load(path, size)
}

// create links a finished file to path, because a rename would replace the file of somebody who was faster.
func create(path string, secret []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
