package appspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Load reads and checks the file in the root of a revision's tree, the first of Names, and looks whether its scripts are
// there. Without such a file it gives an empty Spec.
func Load(tree fs.FS) (*Spec, error) {
	for _, name := range Names() {
		data, err := readSmall(tree, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		spec, err := Parse(name, data)
		if err != nil {
			return nil, err
		}
		return spec, spec.checkScripts(tree)
	}
	return &Spec{Hooks: map[fleet.LifecycleEvent][]Script{}}, nil
}

// readSmall reads a file that has no reason to be big.
func readSmall(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, yaml.MaxBytes+1))
}

func (s *Spec) checkScripts(tree fs.FS) error {
	for _, event := range Scripted() {
		for _, script := range s.Hooks[event] {
			if _, err := fs.Stat(tree, script.Location); err != nil {
				return &yaml.Error{
					File: script.Pos.File, Line: script.Pos.Line, Column: script.Pos.Column,
					Message: "Script does not exist at specified location: " + script.Location,
				}
			}
			if err := CheckScript(tree, script.Location); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckScript finds what the kernel would say too late, and less clearly.
func CheckScript(tree fs.FS, name string) error {
	info, err := fs.Stat(tree, name)
	if err != nil {
		return fmt.Errorf("script %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("script %s is not a file", name)
	}
	f, err := tree.Open(name)
	if err != nil {
		return fmt.Errorf("script %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // only read from
	start := make([]byte, 256)
	n, _ := io.ReadFull(f, start) // it may be shorter
	line, _, _ := bytes.Cut(start[:n], []byte("\n"))
	if bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte("\r")) {
		return fmt.Errorf("script %s: its first line ends in CR LF, so its interpreter would not be found: save it with LF", name)
	}
	return nil
}
