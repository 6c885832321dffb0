// Package fileroot serves the files of states and pillar from directories: several roots for each environment (Salt's
// saltenv), of which the first that has a file wins. No name and no link leads out of a root.
package fileroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/modules"
)

// Base is the environment of those who name none.
const Base = "base"

var _ modules.Files = Local(nil)

// Local are the directories of each environment. A directory that does not exist holds nothing.
type Local map[string][]string

// New makes a Local of the roots of the one environment base.
func New(roots ...string) Local { return Local{Base: roots} }

// Open opens a file of an environment for reading; the error is fs.ErrNotExist when no root has it, or the name leads out.
func (l Local) Open(_ context.Context, saltenv, name string) (io.ReadCloser, fs.FileInfo, error) {
	clean, ok := inside(name)
	if !ok {
		return nil, nil, notThere(saltenv, name)
	}
	for _, dir := range l[saltenv] {
		f, info, err := open(dir, clean)
		switch {
		case err == nil:
			return f, info, nil
		case !absent(err):
			return nil, nil, fmt.Errorf("open %s of %s: %w", name, saltenv, err)
		}
	}
	return nil, nil, notThere(saltenv, name)
}

func notThere(saltenv, name string) error {
	return &fs.PathError{Op: "open", Path: "salt://" + name + "?saltenv=" + saltenv, Err: fs.ErrNotExist}
}

// inside makes a name relative to a root. It is false for one that leads out of it by itself.
func inside(name string) (string, bool) {
	name = path.Clean(strings.TrimLeft(name, "/"))
	return name, fs.ValidPath(name)
}

func open(dir, name string) (*os.File, fs.FileInfo, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = root.Close() }() // read only
	// A named pipe must neither be waited for nor read: only what is a file is opened.
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, fs.ErrNotExist
	}
	f, err := root.Open(name)
	return f, info, err
}

// absent says that a root does not have a file. A link that leads out is not there for those who ask.
func absent(err error) bool {
	var bad *fs.PathError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &bad) && strings.Contains(bad.Err.Error(), "escapes from parent")
}

// List gives the names of all files of an environment below a directory, sorted; those of empty directories end in a slash.
// What begins with a dot is there too, but for .git and .svn. Links to directories are followed once, inside the root.
func (l Local) List(ctx context.Context, saltenv, dir string) ([]string, error) {
	below, ok := inside(dir)
	if !ok {
		return nil, nil
	}
	all := map[string]bool{}
	for _, root := range l[saltenv] {
		if err := list(ctx, root, below, all); err != nil {
			return nil, fmt.Errorf("list %s of %s: %w", dir, saltenv, err)
		}
	}
	// A directory that is empty in one root only is not empty.
	names := slices.Sorted(maps.Keys(all))
	return slices.DeleteFunc(names, func(name string) bool {
		if !strings.HasSuffix(name, "/") {
			return false
		}
		at, _ := slices.BinarySearch(names, name)
		return at+1 < len(names) && strings.HasPrefix(names[at+1], name)
	}), nil
}

// maxDepth bounds directories in directories: links may make a loop.
const maxDepth = 64

func list(ctx context.Context, dir, below string, into map[string]bool) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // read only
	w := walk{root.FS(), into, map[string]bool{}}
	if err := w.dir(ctx, below, 0); !absent(err) {
		return err
	}
	return nil
}

type walk struct {
	root    fs.FS
	into    map[string]bool
	through map[string]bool // links that were followed
}

func (w walk) dir(ctx context.Context, name string, depth int) error {
	if err := ctx.Err(); err != nil || depth > maxDepth {
		return err
	}
	entries, err := fs.ReadDir(w.root, name)
	if err != nil {
		return err
	}
	if len(entries) == 0 && name != "." {
		w.into[name+"/"] = true
	}
	for _, e := range entries {
		if e.Name() == ".git" || e.Name() == ".svn" {
			continue
		}
		if err := w.entry(ctx, path.Join(name, e.Name()), e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w walk) entry(ctx context.Context, name string, e fs.DirEntry, depth int) error {
	link := e.Type()&fs.ModeSymlink != 0
	info, err := fs.Stat(w.root, name)
	switch {
	case absent(err):
		return nil // it went away, or it leads nowhere or out
	case err != nil && link:
		return nil // a link to itself
	case err != nil:
		return err
	case info.Mode().IsRegular():
		w.into[name] = true
		return nil
	case !info.IsDir():
		return nil
	case !link:
		return w.dir(ctx, name, depth+1)
	}
	at, err := fs.ReadLink(w.root, name)
	if err != nil {
		return err
	}
	if at = path.Join(path.Dir(name), at); w.through[at] || at == "." || strings.HasPrefix(name+"/", at+"/") {
		return nil
	}
	w.through[at] = true
	return w.dir(ctx, name, depth+1)
}

// Environments gives the environments, sorted.
func (l Local) Environments(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(l)), nil
}
