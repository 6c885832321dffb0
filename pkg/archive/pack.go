package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Packed tells what Pack wrote.
type Packed struct {
	Digest fleet.Digest
	Size   int64 // bytes of the archive
	Files  int   // files and links
	Dirs   int   // directories
	Room   int64 // bytes that the tree takes on a disk of 4 KiB blocks
}

// Pack is PackAt with the Unix epoch as the time of all files.
func Pack(ctx context.Context, w io.Writer, dir string, exclude []string) (Packed, error) {
	return PackAt(ctx, w, dir, exclude, time.Unix(0, 0))
}

// PackAt writes the tree below dir as a tar.zst. The same tree, patterns and time give the same bytes: names are sorted,
// owners dropped, modes are 0755 for directories and what its owner may execute, else 0644. Symbolic links are kept when
// they stay in the tree; hard links become files; everything else is refused with an error that names it. For exclude
// see [CheckExclude].
//
// The time, usually the commit's, goes to every file: web servers make their ETag of time and size, so files of two
// revisions should differ in time, and those of one revision agree on all minions.
func PackAt(ctx context.Context, w io.Writer, dir string, exclude []string, mtime time.Time) (Packed, error) {
	skip, err := compile(exclude)
	if err != nil {
		return Packed{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Packed{}, fmt.Errorf("pack %s: %w", dir, err)
	}
	defer root.Close()
	hash := sha256.New()
	count := &counter{w: io.MultiWriter(w, hash)}
	// One goroutine and one level: the bytes must not depend on the machine.
	compressed, err := zstd.NewWriter(count, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return Packed{}, fmt.Errorf("start compression: %w", err)
	}
	p := packer{root: root, tar: tar.NewWriter(compressed), skip: skip, links: links{}, mtime: mtime.UTC().Truncate(time.Second)}
	err = errors.Join(p.walk(ctx), p.tar.Close(), compressed.Close())
	if p.err != nil {
		err = p.err // what follows it says nothing more
	}
	if err != nil {
		return Packed{}, err
	}
	return Packed{Digest: fleet.Digest(hex.EncodeToString(hash.Sum(nil))), Size: count.n, Files: p.files, Dirs: p.dirs, Room: p.room}, nil
}

type packer struct {
	root  *os.Root
	tar   *tar.Writer
	skip  globs
	links links
	mtime time.Time
	files int
	dirs  int
	room  int64
	err   error // the first one
}

func (p *packer) walk(ctx context.Context) error {
	p.err = fs.WalkDir(p.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("pack: %w", err)
		case ctx.Err() != nil:
			return fmt.Errorf("pack %q: %w", name, context.Cause(ctx))
		case name == ".":
			return nil
		case p.skip.excludes(name, d.IsDir()) && d.IsDir():
			return fs.SkipDir
		case p.skip.excludes(name, d.IsDir()):
			return nil
		}
		if err := p.add(name, d); err != nil {
			return fmt.Errorf("pack %q: %w", name, err)
		}
		return nil
	})
	if p.err == nil {
		if err := p.links.check(); err != nil {
			p.err = fmt.Errorf("pack: %w; exclude it or remove it in a build step", err)
		}
	}
	return p.err
}

func (p *packer) add(name string, d fs.DirEntry) error {
	h := &tar.Header{Format: tar.FormatPAX, Name: name, ModTime: p.mtime}
	switch kind := d.Type(); kind {
	case fs.ModeDir:
		p.dirs++
		p.room += block
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
		return p.tar.WriteHeader(h)
	case fs.ModeSymlink:
		target, err := p.root.Readlink(name)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
		p.links[name] = target
		p.files++
		p.room += block
		return p.tar.WriteHeader(h)
	case 0:
		p.files++
		return p.addFile(h)
	default:
		return fmt.Errorf("%s cannot be deployed; exclude it or remove it in a build step", describe(kind))
	}
}

func (p *packer) addFile(h *tar.Header) error {
	f, err := p.root.Open(h.Name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Size, h.Mode = tar.TypeReg, info.Size(), 0o644
	p.room += (h.Size + block - 1) / block * block
	if info.Mode()&0o100 != 0 {
		h.Mode = 0o755
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(p.tar, f)
	if err == nil && n != h.Size || errors.Is(err, tar.ErrWriteTooLong) {
		return errors.New("changed while it was packed: does a build step leave something running?")
	}
	return err
}

// block is what most file systems give out at once.
const block = 4 << 10

func describe(kind fs.FileMode) string {
	switch {
	case kind&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case kind&fs.ModeSocket != 0:
		return "a socket"
	case kind&fs.ModeDevice != 0:
		return "a device"
	default:
		return "a file of kind " + kind.String()
	}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
