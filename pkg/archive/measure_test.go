package archive_test

import (
	"archive/tar"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/archive"
)

func TestABundleIsMeasuredWithoutUnpackingIt(t *testing.T) {
	from := t.TempDir()
	write(t, from, map[string]string{"a": strings.Repeat("a", 5000), "d/b": "b"})
	entries := []tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: 5000}, dir("d"), {Typeflag: tar.TypeReg, Name: "d/b", Size: 1}}
	plain := rawTar(t, entries...)
	broken := append([]byte{}, plain[:600]...)
	exact := archive.Extent{Bytes: 16 << 10, Inodes: 3} // a takes two blocks
	for what, c := range map[string]struct {
		kind    archive.Kind
		content []byte
		want    archive.Extent
	}{
		"tar":        {archive.Tar, plain, exact},
		"zip":        {archive.Zip, rawZip(t, zipped{"a", strings.Repeat("a", 5000), 0o644, nil}, zipped{"d/", "", fs.ModeDir | 0o755, nil}, zipped{"d/b", "b", 0o644, nil}), exact},
		"tgz":        {archive.TarGzip, gzipped(t, plain), archive.Extent{Bytes: int64(len(plain))}},
		"tgz as tar": {archive.Tar, gzipped(t, plain), archive.Extent{Bytes: int64(len(plain))}},
		"broken":     {archive.Tar, broken, archive.Extent{Bytes: 600}},
		"no zip":     {archive.Zip, broken, archive.Extent{Bytes: 600}},
		"empty":      {archive.TarGzip, nil, archive.Extent{}},
	} {
		got, err := archive.MeasureBundle(t.Context(), bring(t, "b", c.content), c.kind)
		if err != nil || what != "broken" && got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", what, got, err, c.want)
		}
	}
	if got, err := archive.MeasureBundle(t.Context(), from, archive.Directory); err != nil || got.Inodes != 4 || got.Bytes != 20<<10 {
		t.Errorf("directory: %+v, %v", got, err)
	}
	if _, err := archive.MeasureBundle(t.Context(), filepath.Join(from, "none"), archive.Tar); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}
