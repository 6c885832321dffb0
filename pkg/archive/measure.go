package archive

import (
	"archive/tar"
	"archive/zip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Extent is what a tree takes on a disk of 4 KiB blocks.
type Extent struct {
	Bytes  int64
	Inodes int64 // 0: not known
}

func (e *Extent) add(size int64) {
	e.Inodes++
	e.Bytes += max(block, (size+block-1)/block*block)
}

// MeasureBundle tells what a bundle will take, without unpacking it: from a zip's index, a tar's headers, a directory's
// names. A compressed tar has no index: then it is what its compression says of the size, or else the bundle's own size. What
// is wrong with a bundle is left to UnpackBundle: errors are those of the disk and of ctx.
func MeasureBundle(ctx context.Context, path string, kind Kind) (Extent, error) {
	if kind == Directory {
		return measureDirectory(ctx, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Extent{}, fmt.Errorf("measure bundle: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil {
		return Extent{}, fmt.Errorf("measure bundle: %w", err)
	}
	packed := Extent{Bytes: info.Size()}
	switch head := sniffAt(f); {
	case kind == Zip:
		return measureZip(f, packed), nil
	case kind == TarGzip, head == TarGzip:
		return Extent{Bytes: max(packed.Bytes, gzipSays(f, info.Size()))}, nil
	case kind == TarZstd, head == TarZstd:
		return Extent{Bytes: max(packed.Bytes, zstdSays(f))}, nil
	case head == Tar:
		return measureTar(ctx, f, packed)
	default:
		return packed, nil
	}
}

func measureDirectory(ctx context.Context, path string) (e Extent, err error) {
	err = fs.WalkDir(os.DirFS(path), ".", func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			e.add(info.Size())
		} else {
			e.add(0)
		}
		return nil
	})
	if err != nil {
		return Extent{}, fmt.Errorf("measure bundle: %w", err)
	}
	return e, nil
}

// maxEntry keeps sums of sizes that a zip only claims to have in their range.
const maxEntry = 1 << 40

func measureZip(f *os.File, packed Extent) (e Extent) {
	z, err := zip.NewReader(f, packed.Bytes)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return packed
	}
	for _, f := range z.File {
		e.add(int64(min(f.UncompressedSize64, maxEntry))) //nolint:gosec // bounded
	}
	return e
}

// measureTar goes from header to header.
func measureTar(ctx context.Context, f *os.File, packed Extent) (e Extent, err error) {
	headers := tar.NewReader(f)
	for {
		if err := ctx.Err(); err != nil {
			return Extent{}, fmt.Errorf("measure bundle: %w", err)
		}
		h, err := headers.Next()
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		if err != nil || h.Size > packed.Bytes {
			return packed, nil //nolint:nilerr // who unpacks it says what is wrong
		}
		e.add(h.Size)
	}
}

// sniffAt is sniff for a file that is read from its start afterwards.
func sniffAt(f *os.File) Kind {
	var head [4]byte
	n, _ := f.ReadAt(head[:], 0) //nolint:errcheck // a shorter file is no compressed one
	return magic(head[:n])
}

// gzipSays gives the unpacked size, which gzip keeps in 32 bits at its end.
func gzipSays(f *os.File, size int64) int64 {
	var end [4]byte
	if _, err := f.ReadAt(end[:], size-4); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(end[:]))
}

// zstdSays gives the unpacked size, when it was known at the start.
func zstdSays(f *os.File) int64 {
	start := make([]byte, zstd.HeaderMaxSize)
	n, _ := f.ReadAt(start, 0) //nolint:errcheck // what is there is looked at
	var h zstd.Header
	if err := h.Decode(start[:n]); err != nil || !h.HasFCS || h.FrameContentSize > math.MaxInt64 {
		return 0
	}
	return int64(h.FrameContentSize)
}
