package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// unzip unpacks a zip as Info-ZIP's unzip -o does.
func (b *bundle) unzip() error {
	z, err := zip.OpenReader(b.path)
	if errors.Is(err, zip.ErrInsecurePath) {
		err = nil // each entry is looked at
	}
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }() // only read from
	if len(z.File) > b.tree.limits.Files {
		return fmt.Errorf("%w: %d files, more than %d", ErrLimit, len(z.File), b.tree.limits.Files)
	}
	for _, f := range z.File {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := b.unzipEntry(f); err != nil {
			return err
		}
	}
	return nil
}

// creatorUnix is the system whose modes a zip's entries have.
const creatorUnix, creatorMac = 3, 19

func (b *bundle) unzipEntry(f *zip.File) error {
	name, size := f.Name, f.UncompressedSize64
	unix := f.CreatorVersion>>8 == creatorUnix || f.CreatorVersion>>8 == creatorMac
	if !unix {
		name = strings.ReplaceAll(name, `\`, "/") // as .NET wrote them
	}
	e := entry{name: name, mode: f.Mode().Perm(), umask: !unix, mtime: f.Modified, uid: -1, gid: -1}
	switch {
	case f.Flags&1 != 0:
		return refuse(name, "is encrypted")
	case size > uint64(b.tree.limits.Bytes): //nolint:gosec // positive
		return fmt.Errorf("%w: too many bytes: more than %d with entry %q", ErrLimit, b.tree.limits.Bytes, name)
	case strings.HasSuffix(name, "/"):
		e.kind = aDir
		if e.mode == 0 || !unix {
			e.mode = plainDir
		}
		return b.tree.add(e, nil)
	case f.Mode().Type() == fs.ModeSymlink && size > uint64(b.tree.limits.Name): //nolint:gosec // positive
		return fmt.Errorf("%w: entry %q links to too long a name", ErrLimit, name)
	case f.Mode().Type() == fs.ModeSymlink:
		e.kind = aSymlink
	case f.Mode().Type() != 0:
		return refuse(name, "is "+describe(f.Mode().Type()))
	case e.mode == 0:
		e.mode, e.umask = 0o644, false // its writer knew no modes
	}
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("entry %q: %w", name, err)
	}
	defer func() { _ = content.Close() }()                       // only read from
	if err := b.addZipped(e, int64(size), content); err != nil { //nolint:gosec // at most Limits.Bytes
		return err
	}
	return nil
}

func (b *bundle) addZipped(e entry, size int64, content io.Reader) error {
	if e.kind == aSymlink {
		target, err := io.ReadAll(io.LimitReader(content, size+1)) // +1: to the checksum
		if err != nil {
			return fmt.Errorf("entry %q: %w", e.name, err)
		}
		if len(target) == 0 {
			return refuse(e.name, "links to nothing")
		}
		e.target = string(target)
		return b.tree.add(e, nil)
	}
	e.size = size
	err := b.tree.add(e, content)
	if read, ok := errors.AsType[*readError](err); ok {
		return fmt.Errorf("entry %q: %w", e.name, read.err)
	}
	if err != nil {
		return err
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(content, 1)); err != nil { // the checksum is compared at the end
		return fmt.Errorf("entry %q: %w", e.name, err)
	} else if n > 0 {
		return fmt.Errorf("entry %q: %w", e.name, zip.ErrFormat)
	}
	return nil
}
