package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// Bounds on what is taken from an archive.
const (
	maxEntries = 1_000_000
	maxBytes   = 64 << 30
	maxName    = 4096
)

// kind is what an entry of an archive is.
type kind int

const (
	file kind = iota
	dir
	symlink
	hardlink
)

// entry is one member of an archive.
type entry struct {
	raw, name string // as the archive says it; below the directory, without the components to strip, empty when none are left
	kind      kind
	target    string
	mode      fs.FileMode
	mtime     time.Time
	uid, gid  int // -1 when the format has none
	uname     string
	gname     string
	size      int64
}

// errRefused says that an archive holds what is not unpacked.
var errRefused = errors.New("archive refused")

func refuse(name, why string) error { return fmt.Errorf("%w: %q %s", errRefused, name, why) }

// opened is an archive that can be read through, again and again.
type opened struct {
	host   *state.Host
	blob   *fetch.Blob
	format string // tar or zip
	strip  int
}

// walk calls visit for each entry; content is for files only.
func (o *opened) walk(ctx context.Context, visit func(e entry, content io.Reader) error) error {
	n, left := 0, int64(maxBytes)
	counted := func(e entry, content io.Reader) error {
		n++
		left -= e.size
		if n > maxEntries || left < 0 || e.size < 0 {
			return refuse(e.raw, fmt.Sprintf("is over the limit of %d entries and %d bytes", maxEntries, int64(maxBytes)))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.place(&e); err != nil {
			return err
		}
		return visit(e, content)
	}
	if o.format == "zip" {
		return o.walkZip(counted)
	}
	return o.walkTar(ctx, counted)
}

// place finds an entry's name below the directory.
func (o *opened) place(e *entry) error {
	clean := strings.TrimSuffix(strings.TrimPrefix(e.raw, "./"), "/")
	if clean == "" || clean == "." {
		e.name = ""
		return nil
	}
	if len(clean) > maxName || !filepath.IsLocal(clean) || strings.ContainsRune(clean, 0) {
		return refuse(e.raw, "leads out of the directory")
	}
	parts := strings.Split(path.Clean(clean), "/")
	e.name = strings.Join(parts[min(o.strip, len(parts)):], "/")
	if e.kind == hardlink {
		target := strings.Split(path.Clean(strings.TrimPrefix(e.target, "./")), "/")
		e.target = strings.Join(target[min(o.strip, len(target)):], "/")
		if !filepath.IsLocal(e.target) {
			return refuse(e.raw, "links out of the directory")
		}
	}
	if e.kind == symlink && e.name != "" && !staysInside(e.name, e.target) {
		return refuse(e.raw, fmt.Sprintf("links to %q, out of the directory", e.target))
	}
	return nil
}

// staysInside reports whether a link's target is below the directory, whatever other links there are: it may climb at its
// start only, not after it went through a name that could be a link.
func staysInside(name, target string) bool {
	if path.IsAbs(target) || target == "" {
		return false
	}
	depth := strings.Count(name, "/")
	down := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; down || depth < 0 {
				return false
			}
		default:
			down = true
		}
	}
	return true
}

func (o *opened) walkTar(ctx context.Context, visit func(entry, io.Reader) error) error {
	in, err := o.blob.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	plain, done, err := o.decompress(ctx, in)
	if err != nil {
		return err
	}
	defer done()
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read tar archive: %w", err)
		}
		e := entry{
			raw: h.Name, target: h.Linkname, mode: h.FileInfo().Mode().Perm(), mtime: h.ModTime, uid: h.Uid, gid: h.Gid,
			uname: h.Uname, gname: h.Gname, size: h.Size,
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse: //nolint:staticcheck // old archives have it
		case tar.TypeDir:
			e.kind = dir
		case tar.TypeSymlink:
			e.kind = symlink
		case tar.TypeLink:
			e.kind = hardlink
		case tar.TypeXGlobalHeader:
			continue
		default:
			return refuse(h.Name, "is no file, directory or link")
		}
		if err := visit(e, r); err != nil {
			return err
		}
	}
}

// decompress finds out by the first bytes how a tar archive is compressed.
func (o *opened) decompress(ctx context.Context, in io.Reader) (plain io.Reader, done func(), err error) {
	head := bufio.NewReader(in)
	magic, _ := head.Peek(6)
	done = func() {}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err = gzip.NewReader(head)
	case bytes.HasPrefix(magic, []byte("BZh")):
		plain = bzip2.NewReader(head)
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X', 'Z'}):
		return o.through(ctx, head, "xz")
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return o.through(ctx, head, "zstd")
	default:
		plain = head
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read archive: %w", err)
	}
	return plain, done, nil
}

// through decompresses by a program of the host.
func (o *opened) through(ctx context.Context, in io.Reader, program string) (io.Reader, func(), error) {
	command := o.host.Command
	if command == nil {
		command = exec.CommandContext
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := command(ctx, program, "-d", "-c")
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("decompress by %s: %w", program, err)
	}
	return out, func() { cancel(); _ = cmd.Wait() }, nil
}

func (o *opened) walkZip(visit func(entry, io.Reader) error) error {
	in, err := o.blob.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	at, ok := in.(io.ReaderAt)
	if !ok {
		text, err := o.blob.Bytes(maxBytes)
		if err != nil {
			return err
		}
		at = bytes.NewReader(text)
	}
	r, err := zip.NewReader(at, o.blob.Size)
	if err != nil {
		return fmt.Errorf("read zip archive: %w", err)
	}
	for _, f := range r.File {
		if err := visitZip(f, visit); err != nil {
			return err
		}
	}
	return nil
}

func visitZip(f *zip.File, visit func(entry, io.Reader) error) error {
	const encrypted = 1
	if f.Flags&encrypted != 0 {
		return refuse(f.Name, "is encrypted")
	}
	if f.UncompressedSize64 > maxBytes {
		return refuse(f.Name, "is too large")
	}
	e := entry{raw: f.Name, mode: f.Mode().Perm(), mtime: f.Modified, uid: -1, gid: -1, size: int64(f.UncompressedSize64)} //nolint:gosec // bounded above
	if f.ExternalAttrs>>16 == 0 {                                                                                          // made where files have no modes
		e.mode = 0
	}
	switch {
	case f.FileInfo().IsDir():
		e.kind = dir
		return visit(e, nil)
	case f.Mode()&fs.ModeSymlink != 0:
		e.kind = symlink
	case !f.Mode().IsRegular():
		return refuse(f.Name, "is no file, directory or link")
	}
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("read zip archive: %w", err)
	}
	defer content.Close()
	if e.kind == symlink {
		target, err := io.ReadAll(io.LimitReader(content, maxName))
		if err != nil {
			return fmt.Errorf("read zip archive: %w", err)
		}
		e.target = string(target)
	}
	return visit(e, content)
}

// contents are the names of an archive's entries as Salt lists them: directories end in a slash.
type contents struct {
	dirs, files, links                []string
	topDirs, topFiles, topLinks, seen []string
}

func (o *opened) list(ctx context.Context) (*contents, error) {
	c := &contents{}
	err := o.walk(ctx, func(e entry, _ io.Reader) error {
		c.seen = append(c.seen, strings.TrimSuffix(e.raw, "/"))
		if e.name == "" {
			return nil
		}
		top := !strings.Contains(e.name, "/")
		switch e.kind {
		case dir:
			c.dirs = append(c.dirs, e.name)
			if top {
				c.topDirs = append(c.topDirs, e.name)
			}
		case symlink:
			c.links = append(c.links, e.name)
			if top {
				c.topLinks = append(c.topLinks, e.name)
			}
		default:
			c.files = append(c.files, e.name)
			if top {
				c.topFiles = append(c.topFiles, e.name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.seen) == 0 {
		return nil, errors.New("archive holds nothing")
	}
	slices.Sort(c.topDirs)
	c.topDirs = slices.Compact(c.topDirs)
	return c, nil
}

// check compares the listing with what is below a directory.
func (c *contents) check(name string) (missing bool, wrong []string, err error) {
	for _, list := range []struct {
		names []string
		right func(fs.FileMode) bool
	}{
		{c.dirs, fs.FileMode.IsDir},
		{c.files, func(m fs.FileMode) bool { return m&fs.ModeSymlink == 0 && !m.IsDir() }},
		{c.links, func(m fs.FileMode) bool { return m&fs.ModeSymlink != 0 }},
	} {
		for _, one := range list.names {
			info, err := os.Lstat(filepath.Join(name, one))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missing = true
			case err != nil && !isNotDir(err):
				return false, nil, fmt.Errorf("look for what the archive holds: %w", err)
			case err != nil:
			case !list.right(info.Mode()):
				wrong = append(wrong, one)
			}
		}
	}
	return missing, wrong, nil
}
