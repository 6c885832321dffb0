package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Unpack reads one archive to the end of r and writes its tree into dir, which exists and has none of its names. After an
// error the content of dir is worth nothing and the caller removes it: the digest is known at the end only. Symbolic links
// are made last, once the digest is right, so nothing is ever written through one.
//
// Errors: ErrDigest when the bytes, also those after the archive's end, are not the wanted ones; ErrRefused and ErrLimit
// for an entry, which they name; else what r, ctx or the disk said (errors.Is finds syscall.ENOSPC). Owners are the
// process's, modes 0755 and 0644 whatever its umask. Nothing is synced to the disk.
func Unpack(ctx context.Context, r io.Reader, dir string, want fleet.Digest, limits Limits) error {
	if !want.Valid() {
		return fmt.Errorf("unpack: %q is not a digest", want)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	defer root.Close()
	src := newSource(ctx, r)
	limits = limits.orDefaults()
	u := &unpacker{root: root, limits: limits, seen: map[string]kind{".": implied}, links: links{}, buffer: make([]byte, 64<<10)}
	if err := u.extract(src); err != nil {
		return blame(err, src, want)
	}
	if err := src.verify(want); err != nil {
		return err
	}
	return u.makeLinks()
}

// blame finds the best word for what stopped the extraction: what cannot be understood is usually not what was ordered.
func blame(err error, src *source, want fleet.Digest) error {
	if errors.Is(src.err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read archive: it is cut short: %w", src.err)
	}
	if src.err != nil {
		return fmt.Errorf("read archive: %w", src.err)
	}
	if _, malformed := errors.AsType[*formatError](err); !malformed {
		return err
	}
	if digest := src.verify(want); digest != nil {
		return fmt.Errorf("%w (%w)", digest, err)
	}
	return err
}

// formatError says that the bytes are no tar.zst.
type formatError struct {
	after string // the last entry that was read
	err   error
}

func (e *formatError) Error() string {
	what := "malformed"
	if errors.Is(e.err, io.ErrUnexpectedEOF) {
		what = "cut short"
	}
	if e.after == "" {
		return fmt.Sprintf("archive is %s at its start: %v", what, e.err)
	}
	return fmt.Sprintf("archive is %s at or after entry %q: %v", what, e.after, e.err)
}

func (e *formatError) Unwrap() error { return e.err }

type kind byte

const (
	implied kind = iota + 1 // a directory that only other names tell of
	folder
	leaf // a file or a link
)

type unpacker struct {
	root   *os.Root
	limits Limits
	seen   map[string]kind
	links  links
	bytes  int64
	last   string // name of the entry at hand
	buffer []byte
}

func (u *unpacker) extract(src io.Reader) error {
	// One goroutine: nothing reads src any more once this function has returned.
	decoder, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
	if err != nil {
		return &formatError{err: err}
	}
	defer decoder.Close()
	entries := tar.NewReader(&capped{r: decoder, left: u.limits.Bytes})
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return u.readError(err)
		}
		if err := u.entry(h, entries); err != nil {
			return err
		}
	}
}

// readError tells a limit that was reached from bytes that make no sense.
func (u *unpacker) readError(err error) error {
	if errors.Is(err, ErrLimit) {
		return fmt.Errorf("%w: more than %d, at or after entry %q", err, u.limits.Bytes, u.last)
	}
	return &formatError{after: u.last, err: err}
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	u.last = h.Name
	if err := u.admit(h); err != nil {
		return err
	}
	name := path.Clean(h.Name)
	if name == "." {
		return nil
	}
	if err := u.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if u.seen[name] == implied {
			u.seen[name] = folder
			return nil
		}
		return u.makeDir(name, folder)
	case tar.TypeSymlink:
		u.links[name] = h.Linkname
		return u.claim(name, leaf)
	default:
		if err := u.claim(name, leaf); err != nil {
			return err
		}
		return u.makeFile(name, h, content)
	}
}

// admit decides what may be looked at by its header alone.
func (u *unpacker) admit(h *tar.Header) error {
	name := strings.TrimSuffix(h.Name, "/")
	parts := strings.Split(name, "/")
	long := func(part string) bool { return len(part) > 255 }
	switch {
	case len(h.Name) > u.limits.Name || len(h.Linkname) > u.limits.Name || slices.ContainsFunc(parts, long):
		return fmt.Errorf("%w: entry %.64q... has too long a name", ErrLimit, h.Name)
	case name == "" || path.IsAbs(name):
		return refuse(h.Name, "has an absolute or empty name")
	case slices.Contains(parts, "..") || !filepath.IsLocal(name) || strings.ContainsRune(name, 0):
		return refuse(h.Name, "has a name that may lead out of the archive")
	case h.Mode&0o7000 != 0:
		return refuse(h.Name, "has a setuid, setgid or sticky bit")
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeSymlink:
		return refuse(h.Name, "is "+typeName(h.Typeflag))
	case h.Typeflag == tar.TypeSymlink && (h.Linkname == "" || path.IsAbs(h.Linkname)):
		return refuse(h.Name, fmt.Sprintf("links to %q, which is outside the archive", h.Linkname))
	case h.Size < 0 || h.Size > u.limits.Bytes-u.bytes:
		return fmt.Errorf("%w: too many bytes: more than %d with entry %q", ErrLimit, u.limits.Bytes, h.Name)
	}
	u.bytes += h.Size
	return nil
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a named pipe"
	default:
		return fmt.Sprintf("of the unknown type %q", flag)
	}
}

// claim takes a name, once.
func (u *unpacker) claim(name string, k kind) error {
	if u.seen[name] != 0 {
		return refuse(u.last, "is there twice")
	}
	if len(u.seen) > u.limits.Files {
		return fmt.Errorf("%w: too many files: more than %d at entry %q", ErrLimit, u.limits.Files, u.last)
	}
	u.seen[name] = k
	return nil
}

// makeDirs makes the directories that a name implies.
func (u *unpacker) makeDirs(name string) error {
	switch u.seen[name] {
	case implied, folder:
		return nil
	case leaf:
		return refuse(u.last, fmt.Sprintf("goes through %q, which is no directory", name))
	}
	if err := u.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	return u.makeDir(name, implied)
}

func (u *unpacker) makeDir(name string, k kind) error {
	if err := u.claim(name, k); err != nil {
		return err
	}
	if err := u.root.Mkdir(name, 0o755); err != nil {
		return fmt.Errorf("unpack entry %q: %w", u.last, err)
	}
	if err := u.root.Chmod(name, 0o755); err != nil {
		return fmt.Errorf("unpack entry %q: %w", u.last, err)
	}
	return nil
}

func (u *unpacker) makeFile(name string, h *tar.Header, content io.Reader) error {
	mode := os.FileMode(0o644)
	if h.Mode&0o100 != 0 {
		mode = 0o755
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("unpack entry %q: %w", h.Name, err)
	}
	in := &remembering{r: content}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, in, u.buffer) // the struct hides ReadFrom, which makes a buffer per file
	if in.err != nil {
		_ = f.Close() // the read error is the one to tell
		return u.readError(in.err)
	}
	if err = errors.Join(err, f.Chmod(mode), f.Close(), u.root.Chtimes(name, h.ModTime, h.ModTime)); err != nil {
		return fmt.Errorf("unpack entry %q: %w", h.Name, err)
	}
	return nil
}

// remembering keeps the error of a reader apart from that of the writer it is copied to.
type remembering struct {
	r   io.Reader
	err error
}

func (m *remembering) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	return n, err
}

func (u *unpacker) makeLinks() error {
	if err := u.links.check(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(u.links)) {
		if err := u.root.Symlink(u.links[name], name); err != nil {
			return fmt.Errorf("unpack entry %q: %w", name, err)
		}
	}
	return nil
}
