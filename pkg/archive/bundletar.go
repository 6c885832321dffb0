package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/user"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// untar unpacks a tar, compressed or not.
func (b *bundle) untar(kind Kind) error {
	f, err := os.Open(b.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	src := bufio.NewReaderSize(&interruptible{b.ctx, f}, 64<<10)
	if kind == Tar {
		kind = sniff(src)
	}
	plain, end, err := decompress(src, kind)
	if err != nil {
		return &formatError{err: err}
	}
	defer end()
	names := &owners{users: map[string]int{}, groups: map[string]int{}, keep: os.Geteuid() == 0}
	if err := readTar(plain, b.tree, names.take); err != nil {
		return err
	}
	if b.tree.last == "" { // tar takes a file of zeros for an empty archive; a bundle is never empty
		return errors.New("it is empty")
	}
	_, err = io.Copy(io.Discard, &capped{r: plain, left: b.tree.limits.Bytes}) // to the checksum at the compressed end
	if err != nil {
		return b.tree.unreadable(err)
	}
	return nil
}

// sniff recognizes what GNU tar does, as far as it can be unpacked here.
func sniff(r *bufio.Reader) Kind {
	head, _ := r.Peek(4) //nolint:errcheck // a shorter file is no compressed one
	return magic(head)
}

func magic(head []byte) Kind {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return TarGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return TarZstd
	case bytes.HasPrefix(head, []byte("BZh")):
		return tarBzip2
	default:
		return Tar
	}
}

const tarBzip2 Kind = "tar.bz2"

func decompress(r io.Reader, kind Kind) (plain io.Reader, end func(), err error) {
	end = func() {}
	switch kind {
	case TarGzip:
		plain, err = gzip.NewReader(r)
	case TarZstd:
		var decoder *zstd.Decoder
		decoder, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err == nil {
			plain, end = decoder, decoder.Close
		}
	case tarBzip2:
		plain = bzip2.NewReader(r)
	default:
		plain = r
	}
	return plain, end, err
}

// owners finds the accounts that a tar names.
type owners struct {
	users, groups map[string]int
	keep          bool
}

// take takes what GNU tar does, without devices and pipes.
func (o *owners) take(h *tar.Header) (entry, bool, error) {
	e := entry{name: h.Name, size: h.Size, mode: special(h.FileInfo().Mode()), mtime: h.ModTime, uid: -1, gid: -1, target: h.Linkname}
	if o.keep {
		e.uid, e.gid = o.uid(h), o.gid(h)
	}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader: // git archive writes one
		return e, false, nil
	case tar.TypeDir:
		e.kind, e.size = aDir, 0
	case tar.TypeSymlink:
		e.kind, e.size = aSymlink, 0
	case tar.TypeLink:
		e.kind, e.size = aHardLink, 0
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
	default:
		return e, false, refuse(h.Name, "is "+typeName(h.Typeflag))
	}
	if e.target == "" && (e.kind == aSymlink || e.kind == aHardLink) {
		return e, false, refuse(h.Name, "links to nothing")
	}
	return e, true, nil
}

func (o *owners) uid(h *tar.Header) int {
	return found(o.users, h.Uname, h.Uid, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

func (o *owners) gid(h *tar.Header) int {
	return found(o.groups, h.Gname, h.Gid, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// found prefers the host's number of a name to that of the archive.
func found(known map[string]int, name string, number int, lookup func(string) (string, error)) int {
	if name == "" {
		return max(number, 0)
	}
	if _, ok := known[name]; !ok {
		known[name] = -1
		if text, err := lookup(name); err == nil {
			if n, err := strconv.Atoi(text); err == nil {
				known[name] = n
			}
		}
	}
	if n := known[name]; n >= 0 {
		return n
	}
	return max(number, 0)
}
