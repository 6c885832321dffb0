package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is one thing that an archive tells of.
type entry struct {
	name     string
	kind     entryKind
	target   string // of a link
	size     int64  // of a file
	mode     fs.FileMode
	umask    bool // the process's umask cuts the mode
	mtime    time.Time
	uid, gid int // -1: the process's
}

type entryKind byte

const (
	aFile entryKind = iota
	aDir
	aSymlink
	aHardLink
)

type kind byte

const (
	implied kind = iota + 1 // a directory that only other names tell of
	folder
	leaf // a file or a link
)

// tree writes the entries of one archive below a root that has none of their names. Symbolic links are made last, so that
// nothing is ever written through one. Not for concurrent use.
type tree struct {
	root    *os.Root
	limits  Limits
	replace bool // a file that is there twice replaces itself, as with tar and unzip
	seen    map[string]kind
	links   links
	owners  map[string]entry // symbolic links and directories whose modes and owners are set at the end
	bytes   int64
	last    string // name of the entry at hand
	writers *writers
}

func newTree(root *os.Root, limits Limits) *tree {
	return &tree{
		root: root, limits: limits.orDefaults(), seen: map[string]kind{".": implied}, links: links{}, owners: map[string]entry{},
		writers: startWriters(root),
	}
}

// add takes one entry; content is that of a file. An error of content is a *readError, others are the entry's or the disk's.
func (t *tree) add(e entry, content io.Reader) error {
	t.last = e.name
	if err := t.admit(e); err != nil {
		return err
	}
	name := path.Clean(e.name)
	if name == "." {
		return nil
	}
	if err := t.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	if e.kind == aDir {
		return t.addDir(name, e)
	}
	if err := t.claim(name); err != nil {
		return err
	}
	switch e.kind {
	case aSymlink:
		t.links[name] = e.target
		if e.uid >= 0 {
			t.owners[name] = e
		}
		return nil
	case aHardLink:
		return t.addHardLink(name, e)
	default:
		e.name = name
		return t.writers.write(e, content)
	}
}

// admit decides what may be looked at by its name and its size alone.
func (t *tree) admit(e entry) error {
	name := strings.TrimSuffix(e.name, "/")
	parts := strings.Split(name, "/")
	long := func(part string) bool { return len(part) > 255 }
	switch {
	case len(e.name) > t.limits.Name || len(e.target) > t.limits.Name || slices.ContainsFunc(parts, long):
		return fmt.Errorf("%w: entry %.64q... has too long a name", ErrLimit, e.name)
	case len(parts) > t.limits.Depth:
		return fmt.Errorf("%w: entry %.64q... lies too deep: more than %d parts", ErrLimit, e.name, t.limits.Depth)
	case name == "" || path.IsAbs(name):
		return refuse(e.name, "has an absolute or empty name")
	case slices.Contains(parts, "..") || !filepath.IsLocal(name) || strings.ContainsRune(name, 0):
		return refuse(e.name, "has a name that may lead out of the archive")
	case e.size < 0 || e.size > t.limits.Bytes-t.bytes:
		return fmt.Errorf("%w: too many bytes: more than %d with entry %q", ErrLimit, t.limits.Bytes, e.name)
	}
	t.bytes += e.size
	return nil
}

// claim takes a name for a file or a link.
func (t *tree) claim(name string) error {
	if t.seen[name] == leaf && t.replace {
		delete(t.links, name)
		delete(t.owners, name)
		if err := t.writers.flush(); err != nil {
			return err
		}
		if err := t.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t.failed(err)
		}
		return nil
	}
	return t.claimNew(name, leaf)
}

func (t *tree) claimNew(name string, k kind) error {
	if t.seen[name] != 0 {
		return refuse(t.last, "is there twice")
	}
	if len(t.seen) > t.limits.Files {
		return fmt.Errorf("%w: too many files: more than %d at entry %q", ErrLimit, t.limits.Files, t.last)
	}
	t.seen[name] = k
	return nil
}

func (t *tree) addDir(name string, e entry) error {
	switch was := t.seen[name]; {
	case was == implied, was == folder && t.replace:
		t.seen[name] = folder
	default:
		if err := t.makeDir(name, folder); err != nil {
			return err
		}
	}
	if e.mode != plainDir || e.uid >= 0 {
		t.owners[name] = e
	}
	return nil
}

// makeDirs makes the directories that a name implies.
func (t *tree) makeDirs(name string) error {
	switch t.seen[name] {
	case implied, folder:
		return nil
	case leaf:
		return refuse(t.last, fmt.Sprintf("goes through %q, which is no directory", name))
	}
	if err := t.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	return t.makeDir(name, implied)
}

// plainDir is the mode of directories, until the end at least: files must be made in them.
const plainDir = 0o755

func (t *tree) makeDir(name string, k kind) error {
	if err := t.claimNew(name, k); err != nil {
		return err
	}
	if err := t.root.Mkdir(name, plainDir); err != nil {
		return t.failed(err)
	}
	if err := t.root.Chmod(name, plainDir); err != nil {
		return t.failed(err)
	}
	return nil
}

// addHardLink gives another name to a file of the same archive.
func (t *tree) addHardLink(name string, e entry) error {
	to := path.Clean(e.target)
	if _, symbolic := t.links[to]; symbolic || t.seen[to] != leaf || to == name {
		return refuse(e.name, fmt.Sprintf("is a hard link to %q, which is no file before it in the archive", e.target))
	}
	if err := t.writers.flush(); err != nil {
		return err
	}
	if err := t.root.Link(to, name); err != nil {
		return t.failed(err)
	}
	return nil
}

// finish makes the symbolic links, and gives directories their modes and owners, the deepest first.
func (t *tree) finish() error {
	for _, name := range slices.Sorted(maps.Keys(t.links)) {
		if err := t.root.Symlink(t.links[name], name); err != nil {
			return fmt.Errorf("unpack entry %q: %w", name, err)
		}
	}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(t.owners))) {
		if err := t.own(name, t.owners[name]); err != nil {
			return fmt.Errorf("unpack entry %q: %w", name, err)
		}
	}
	return nil
}

func (t *tree) own(name string, e entry) error {
	if e.uid >= 0 {
		if err := t.root.Lchown(name, e.uid, e.gid); err != nil {
			return err
		}
	}
	if e.kind == aSymlink {
		return nil
	}
	return t.root.Chmod(name, e.mode)
}

func (t *tree) failed(err error) error { return fmt.Errorf("unpack entry %q: %w", t.last, err) }
