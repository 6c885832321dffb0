package grains

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

const (
	scriptTime  = 10 * time.Second // how long one executable may take
	scriptBytes = 1 << 20          // of what it prints
)

// scripts are the executables of a directory, in the order of their names. Hidden files and backups are none.
func scripts(dir string) []string {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there need not be any
	}
	var all []string
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue
		}
		all = append(all, filepath.Join(dir, e.Name()))
	}
	slices.Sort(all)
	return all
}

// runScript gives the grains that an executable prints as a JSON or YAML mapping.
func runScript(ctx context.Context, path string) (fleet.Grains, error) {
	ctx, cancel := context.WithTimeout(ctx, scriptTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, errs limited
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("run %s: it took longer than %v", path, scriptTime)
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return nil, fmt.Errorf("run %s: %w: %s", path, err, line)
	case out.over:
		return nil, fmt.Errorf("run %s: it prints more than %d bytes", path, scriptBytes)
	}
	return parse(path, out.Bytes())
}

// limited keeps the first bytes that are written to it.
type limited struct {
	bytes.Buffer
	over bool
}

// Write takes all, so that nobody gets an error for printing too much.
func (l *limited) Write(p []byte) (int, error) {
	if room := scriptBytes - l.Len(); len(p) > room {
		l.over = true
		_, _ = l.Buffer.Write(p[:room])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}

// parse reads a mapping of grains.
func parse(name string, text []byte) (fleet.Grains, error) {
	doc, err := yaml.Salt(name, text)
	switch {
	case err != nil:
		return nil, err
	case doc.Kind() == yaml.Null:
		return fleet.Grains{}, nil
	case doc.Kind() != yaml.Mapping:
		return nil, fmt.Errorf("read %s: grains are a mapping of names to values", name)
	}
	return data.Plain(doc.Data()).(map[string]any), nil
}

// ReadSet reads the grains that were set by name. A file that does not exist has none.
func ReadSet(file string) (fleet.Grains, error) {
	if file == "" {
		return fleet.Grains{}, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Grains{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(file, text)
}

// WriteSet replaces them. It is not for concurrent use.
func WriteSet(file string, set *data.Map) error {
	text, err := set.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode grains: %w", err)
	}
	if err := renameio.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write grains: %w", err)
	}
	return nil
}
