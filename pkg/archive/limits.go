package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
)

// The kinds of errors that Unpack gives beside those of the disk and of its reader.
var (
	ErrDigest  = errors.New("archive has another digest than the one ordered")
	ErrRefused = errors.New("archive refused") // an entry that no archive of ours has
	ErrLimit   = errors.New("archive is over a limit")
)

// Limits bound what Unpack and UnpackBundle take from an archive. A zero field means its default.
type Limits struct {
	Files int   // entries of any kind, and directories that names imply; 1,000,000
	Bytes int64 // unpacked bytes, with the headers of the entries; 64 GiB
	Name  int   // bytes of a name or of a link's target; 4096, and 255 for a name's part
	Depth int   // parts of a name; 256
}

func (l Limits) orDefaults() Limits {
	return Limits{
		Files: cmp.Or(l.Files, 1_000_000), Bytes: cmp.Or(l.Bytes, 64<<30), Name: cmp.Or(l.Name, 4096), Depth: cmp.Or(l.Depth, 256),
	}
}

// maxWindow bounds the decoder's memory. Pack needs 8 MiB.
const maxWindow = 32 << 20

func refuse(name, why string) error { return fmt.Errorf("%w: entry %q %s", ErrRefused, name, why) }

// capped gives at most left bytes and then ErrLimit: the end of a decompression bomb.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("%w: too many bytes", ErrLimit)
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}
