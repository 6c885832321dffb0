package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/archive"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func tarball(t *testing.T, name string, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		h.Size = int64(len(h.Name))
		if h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		h.Mode = max(h.Mode, 0o644)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = w.Write([]byte(h.Name))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.zip")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := zip.NewWriter(out)
	f, err := w.Create("top/file")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write([]byte("zipped"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExtractedKeepsToTheSuite(t *testing.T) {
	dir := t.TempDir()
	good := tarball(t, "a.tar.gz", tar.Header{Typeflag: tar.TypeReg, Name: "pkg/bin/tool", Mode: 0o755}, tar.Header{Typeflag: tar.TypeSymlink, Name: "pkg/link", Linkname: "bin/tool"})
	statetest.Run(t, archive.States(),
		statetest.Example{Function: "extracted", Name: filepath.Join(dir, "opt"), Args: data.NewMap("source", good), Touches: []string{dir}, Silent: true},
		statetest.Example{Function: "extracted", Name: filepath.Join(dir, "stripped"), Args: data.NewMap("source", good, "options", "--strip-components=1", "enforce_toplevel", false), Touches: []string{dir}, Silent: true},
		statetest.Example{Function: "extracted", Name: filepath.Join(dir, "zip"), Args: data.NewMap("source", zipped(t)), Touches: []string{dir}, Silent: true},
	)
	for name, want := range map[string]string{"opt/pkg/link": "pkg/bin/tool", "stripped/bin/tool": "pkg/bin/tool", "zip/top/file": "zipped"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
}

func TestNothingIsWrittenOutsideTheDirectory(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"parent":        {{Typeflag: tar.TypeReg, Name: "../evil"}},
		"absolute":      {{Typeflag: tar.TypeReg, Name: "/tmp/families-evil"}},
		"link out":      {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}},
		"link absolute": {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}},
		"link by link":  {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "."}, {Typeflag: tar.TypeSymlink, Name: "b", Linkname: "a/.."}},
		"hard link":     {{Typeflag: tar.TypeLink, Name: "h", Linkname: "../evil"}},
		"device":        {{Typeflag: tar.TypeChar, Name: "null"}},
		"through link":  {{Typeflag: tar.TypeReg, Name: "there/evil"}},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir, outside := filepath.Join(top, "d"), filepath.Join(top, "outside")
			for _, d := range []string{dir, outside} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(outside, filepath.Join(dir, "there")); err != nil {
				t.Fatal(err)
			}
			res := archive.States()["extracted"].Run(t.Context(), &state.Call{
				Name: dir, Host: statetest.Host(t, ""),
				Args: data.NewMap("source", tarball(t, "x.tar.gz", headers...), "enforce_toplevel", false),
			})
			if res.Verdict != state.False || strings.Contains(res.Comment, "extracted to") {
				t.Errorf("got %+v", res)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("outside has %v, %v", left, err)
			}
		})
	}
}
