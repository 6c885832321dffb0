package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kind is the form in which people bring a bundle, as CodeDeploy names them.
type Kind string

// The kinds of bundles.
const (
	Directory Kind = "directory"
	Tar       Kind = "tar" // gzip, zstd and bzip2 are recognized too, as by GNU tar
	TarGzip   Kind = "tgz"
	TarZstd   Kind = "tzst"
	Zip       Kind = "zip"
)

// Kinds lists the kinds of bundles.
func Kinds() []Kind { return []Kind{Directory, Tar, TarGzip, TarZstd, Zip} }

// KindOf tells the kind of a bundle by what lies at path and by its name's end; Tar when the name says nothing.
func KindOf(path string) (Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("look at bundle: %w", err)
	}
	if info.IsDir() {
		return Directory, nil
	}
	for _, end := range []struct {
		name string
		kind Kind
	}{{".zip", Zip}, {".tgz", TarGzip}, {".tar.gz", TarGzip}, {".tzst", TarZstd}, {".tar.zst", TarZstd}} {
		if strings.HasSuffix(strings.ToLower(path), end.name) {
			return end.kind, nil
		}
	}
	return Tar, nil
}

// UnpackBundle puts what a person brings into dir, which exists and is empty, as the CodeDeploy agent does: modes are kept,
// setuid and the like too; owners when it runs as root and the bundle is a tar (those of names first, then of numbers);
// symbolic links as they are, wherever they point: read the tree through an os.Root. One directory that wraps all of an archive
// and holds a name with "appspec" is taken away. What the agent's tools would write outside dir is refused, and so are devices, pipes
// and sockets. After an error the content of dir is worth nothing.
//
// A zip has no owners; modes of a directory's copy are cut by the umask, and its owner is the process. Errors are
// *BundleError; ErrRefused and ErrLimit for an entry, which they name; else what the disk or ctx said. Nothing is synced.
func UnpackBundle(ctx context.Context, path string, kind Kind, dir string, limits Limits) error {
	if !slices.Contains(Kinds(), kind) {
		return fmt.Errorf("unknown kind of bundle %q; known: %v", kind, Kinds())
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	defer root.Close()
	t := newTree(root, limits)
	t.replace = true
	b := &bundle{ctx: ctx, path: path, tree: t}
	switch kind {
	case Directory:
		err = b.copyDirectory()
	case Zip:
		err = b.unzip()
	default:
		err = b.untar(kind)
	}
	if failed := t.writers.close(); failed != nil {
		err = failed
	}
	if err == nil {
		err = t.finish()
	}
	if err == nil && kind != Directory {
		err = unwrap(root)
	}
	if err != nil {
		return &BundleError{Path: path, Kind: kind, Err: err}
	}
	return nil
}

// bundle is one that is being unpacked.
type bundle struct {
	ctx  context.Context // of the UnpackBundle that owns it
	path string
	tree *tree
}

// BundleError says what is wrong with a bundle. Its text begins as the CodeDeploy agent's does.
type BundleError struct {
	Path string
	Kind Kind
	Err  error
}

func (e *BundleError) Error() string {
	what := "tar archive"
	switch e.Kind {
	case Directory:
		return fmt.Sprintf("copy bundle %s: %v", e.Path, e.Err)
	case Zip:
		what = "zip archive"
	}
	return fmt.Sprintf("Error extracting %s: %s: %v", what, filepath.Base(e.Path), e.Err)
}

func (e *BundleError) Unwrap() error { return e.Err }

// unwrap takes away the one directory that wraps all, as archives of GitHub have it.
func unwrap(root *os.Root) error {
	top, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("look at unpacked bundle: %w", err)
	}
	if len(top) != 1 || !top[0].IsDir() {
		return nil
	}
	inner, err := fs.ReadDir(root.FS(), top[0].Name())
	if err != nil {
		return fmt.Errorf("look at unpacked bundle: %w", err)
	}
	named := func(want string) bool {
		return slices.ContainsFunc(inner, func(d fs.DirEntry) bool { return d.Name() == want })
	}
	if !slices.ContainsFunc(inner, func(d fs.DirEntry) bool { return strings.Contains(strings.ToLower(d.Name()), "appspec") }) {
		return nil
	}
	aside := ".unwrap"
	for named(aside) {
		aside += "_"
	}
	err = errors.Join(root.Chmod(top[0].Name(), plainDir), root.Rename(top[0].Name(), aside)) // what is in it may be moved for sure
	for _, d := range inner {
		if err == nil {
			err = root.Rename(aside+"/"+d.Name(), d.Name())
		}
	}
	if err == nil {
		err = root.Remove(aside)
	}
	if err != nil {
		return fmt.Errorf("take away the directory that wraps the bundle: %w", err)
	}
	return nil
}

// copyDirectory copies a directory.
func (b *bundle) copyDirectory() error {
	from, err := os.OpenRoot(b.path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := b.tree.root.Stat(".")
	if err != nil {
		return err
	}
	return fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = b.ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if os.SameFile(info, to) {
			return refuse(name, "is where the bundle is to be copied to")
		}
		return b.copyEntry(from, name, info)
	})
}

func (b *bundle) copyEntry(from *os.Root, name string, info fs.FileInfo) (err error) {
	e := entry{name: name, mode: special(info.Mode()), umask: true, uid: -1, gid: -1}
	switch info.Mode().Type() {
	case fs.ModeDir:
		e.kind, e.mode = aDir, plainDir
		return b.tree.add(e, nil)
	case fs.ModeSymlink:
		if e.target, err = from.Readlink(name); err != nil {
			return err
		}
		e.kind = aSymlink
		return b.tree.add(e, nil)
	case 0:
	default:
		return refuse(name, "is "+describe(info.Mode().Type()))
	}
	f, err := from.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	if info, err = f.Stat(); err != nil {
		return err
	}
	e.size = info.Size()
	return b.tree.add(e, f)
}

// special gives a mode's permissions with setuid, setgid and sticky.
func special(mode fs.FileMode) fs.FileMode {
	return mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}
