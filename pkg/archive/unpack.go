package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

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
//
// It reads ahead, in another goroutine, and returns when that has ended: an error has to wait for a Read that is under way.
func Unpack(ctx context.Context, r io.Reader, dir string, want fleet.Digest, limits Limits) error {
	if !want.Valid() {
		return fmt.Errorf("unpack: %q is not a digest", want)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	defer root.Close()
	src := startSource(ctx, r)
	defer src.ahead.Close()
	t := newTree(root, limits)
	err = extract(src, t)
	if failed := t.writers.close(); failed != nil {
		err = failed
	}
	if err != nil {
		return blame(err, src, want)
	}
	if err := src.verify(want); err != nil {
		return err
	}
	if err := t.links.check(); err != nil {
		return err
	}
	return t.finish()
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

// extract reads the tar.zst that Pack makes.
func extract(src io.Reader, t *tree) error {
	// One goroutine: another is not worth what handing over to it costs.
	decoder, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow), zstd.IgnoreChecksum(true))
	if err != nil {
		return &formatError{err: err}
	}
	defer decoder.Close()
	return readTar(decoder, t, ours)
}

// readTar adds all entries of a tar. take makes an entry of a header; it is not ok for what is no entry.
func readTar(r io.Reader, t *tree, take func(*tar.Header) (e entry, ok bool, err error)) error {
	entries := tar.NewReader(&capped{r: r, left: t.limits.Bytes})
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return t.unreadable(err)
		}
		t.last = h.Name
		e, ok, err := take(h)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		err = t.add(e, entries)
		if read, ok := errors.AsType[*readError](err); ok {
			return t.unreadable(read.err)
		}
		if err != nil {
			return err
		}
	}
}

// unreadable tells a limit that was reached from bytes that make no sense.
func (t *tree) unreadable(err error) error {
	if errors.Is(err, ErrLimit) {
		return fmt.Errorf("%w: more than %d, at or after entry %q", err, t.limits.Bytes, t.last)
	}
	return &formatError{after: t.last, err: err}
}

// ours takes what Pack writes.
func ours(h *tar.Header) (entry, bool, error) {
	e := entry{name: h.Name, size: h.Size, mode: 0o644, mtime: h.ModTime, uid: -1, gid: -1, target: h.Linkname}
	switch {
	case h.Mode&0o7000 != 0:
		return e, false, refuse(h.Name, "has a setuid, setgid or sticky bit")
	case h.Typeflag == tar.TypeDir:
		e.kind, e.mode = aDir, plainDir
	case h.Typeflag == tar.TypeSymlink && (h.Linkname == "" || path.IsAbs(h.Linkname)):
		return e, false, refuse(h.Name, fmt.Sprintf("links to %q, which is outside the archive", h.Linkname))
	case h.Typeflag == tar.TypeSymlink:
		e.kind = aSymlink
	case h.Typeflag != tar.TypeReg:
		return e, false, refuse(h.Name, "is "+typeName(h.Typeflag))
	case h.Mode&0o100 != 0:
		e.mode = 0o755
	}
	return e, true, nil
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
