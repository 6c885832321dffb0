package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/archive"
)

// bring writes a bundle that a person made.
func bring(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func rawTar(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range headers {
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

type zipped struct {
	name, content string
	mode          fs.FileMode
	change        func(*zip.FileHeader)
}

func rawZip(t testing.TB, files ...zipped) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := zip.NewWriter(&raw)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode)
		if f.change != nil {
			f.change(h)
		}
		out, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

// TestEveryKindOfBundleGivesTheSameTree lets the tools of people make them.
func TestEveryKindOfBundleGivesTheSameTree(t *testing.T) {
	made := t.TempDir()
	write(t, made, map[string]string{"appspec.yml": "version: 0.0", "app/a.txt": "hello", "app/.dot": "x", "app/abs": "-> /etc/passwd", "app/cur": "-> a.txt", "s/run.sh": "#!/bin/sh"})
	for name, mode := range map[string]fs.FileMode{"s/run.sh": 0o750, "app/a.txt": 0o604, "app": 0o705} {
		if err := os.Chmod(filepath.Join(made, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		kind    archive.Kind
		command string
	}{
		"directory":     {archive.Directory, `cp -a "$0" "$1"`},
		"tar":           {archive.Tar, `tar -C "$0" -cf "$1" .`},
		"tar of names":  {archive.Tar, `cd "$0" && tar -cf "$1" *`},
		"wrapped":       {archive.Tar, `cp -a "$0" "$1.d" && tar -C "$(dirname "$1")" -cf "$1" "$(basename "$1.d")"`},
		"b.tgz":         {archive.TarGzip, `tar -C "$0" -czf "$1" .`},
		"tgz as tar":    {archive.Tar, `tar -C "$0" -czf "$1" .`},
		"b.tar.zst":     {archive.TarZstd, `tar -C "$0" -I zstd -cf "$1" .`},
		"zst as tar":    {archive.Tar, `tar -C "$0" -I zstd -cf "$1" .`},
		"bzip2 as tar":  {archive.Tar, `tar -C "$0" -cjf "$1" .`},
		"b.zip":         {archive.Zip, `cd "$0" && zip -qry "$1" .`},
		"wrapped a.ZIP": {archive.Zip, `cp -a "$0" "$1.d" && cd "$(dirname "$1")" && zip -qry "$1" "$(basename "$1.d")"`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tool := range []string{"zip", "zstd", "bzip2"} {
				if _, err := exec.LookPath(tool); strings.Contains(c.command, tool+" ") && err != nil {
					skip(t, tool)
				}
			}
			path := filepath.Join(t.TempDir(), name)
			if out, err := exec.CommandContext(t.Context(), "sh", "-ec", c.command, made, path).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if kind, err := archive.KindOf(path); err != nil || kind != c.kind && !strings.Contains(name, "as tar") {
				t.Errorf("kind %s, %v", kind, err)
			}
			to := t.TempDir()
			if err := archive.UnpackBundle(t.Context(), path, c.kind, to, archive.Limits{}); err != nil {
				t.Fatal(err)
			}
			want, got := read(t, made), read(t, to)
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("%s is %q, want %q", name, got[name], want[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if c.kind == archive.Directory {
				return // directories are new there, and the umask cuts modes
			}
			for name, want := range map[string]fs.FileMode{"s/run.sh": 0o750, "app/a.txt": 0o604, "app": 0o705} {
				if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != want {
					t.Errorf("mode of %s: %v, want %v; %v", name, info.Mode(), want, err)
				}
			}
		})
	}
}

func skip(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s (Debian package %s)", tool, tool)
	}
	t.Skipf("needs %s (Debian package %s)", tool, tool)
}

func TestBundlesThatReachOutAreRefusedByName(t *testing.T) {
	owned := file("x")
	owned.Typeflag, owned.Linkname, owned.Size = tar.TypeLink, "../../etc/passwd", 0
	plain := func(name string) []byte { return rawZip(t, zipped{name: name, content: "evil", mode: 0o644}) }
	dos := func(h *zip.FileHeader) { h.CreatorVersion = 0 }
	for what, c := range map[string]struct {
		kind    archive.Kind
		content []byte
		want    string
	}{
		"zip slip":            {archive.Zip, plain("../evil"), `"../evil"`},
		"zip slip within":     {archive.Zip, plain("a/../../evil"), `"a/../../evil"`},
		"zip slip, DOS":       {archive.Zip, rawZip(t, zipped{name: `..\evil`, mode: 0o644, change: dos}), `"../evil"`},
		"zip, absolute":       {archive.Zip, plain("/evil"), `"/evil"`},
		"zip, through a link": {archive.Zip, rawZip(t, zipped{"l", "..", fs.ModeSymlink | 0o777, nil}, zipped{"l/evil", "", 0o644, nil}), `"l/evil"`},
		"zip, pipe":           {archive.Zip, rawZip(t, zipped{"pipe", "", fs.ModeNamedPipe | 0o644, nil}), `"pipe" is a named pipe`},
		"zip, encrypted":      {archive.Zip, rawZip(t, zipped{"x", "", 0o644, func(h *zip.FileHeader) { h.Flags |= 1 }}), "is encrypted"},
		"tar":                 {archive.Tar, rawTar(t, file("ok"), file("../evil")), `"../evil"`},
		"tar, absolute":       {archive.Tar, rawTar(t, file("/evil")), `"/evil"`},
		"tar, through a link": {archive.Tar, rawTar(t, link("l", ".."), file("l/evil")), `"l/evil"`},
		"tar, file over link": {archive.Tar, rawTar(t, link("l", "../evil"), tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "l"}), `"h"`},
		"tar, hard link out":  {archive.Tar, rawTar(t, owned), `"x" is a hard link to "../../etc/passwd"`},
		"tar, device":         {archive.Tar, rawTar(t, tar.Header{Typeflag: tar.TypeChar, Name: "dev"}), `"dev" is a device`},
		"tar, too deep":       {archive.Tar, rawTar(t, file(strings.Repeat("d/", 300)+"f")), "too deep"},
	} {
		t.Run(what, func(t *testing.T) {
			above := t.TempDir()
			to := filepath.Join(above, "bundle")
			if err := os.Mkdir(to, 0o755); err != nil {
				t.Fatal(err)
			}
			err := archive.UnpackBundle(t.Context(), bring(t, "b", c.content), c.kind, to, archive.Limits{})
			if !errors.Is(err, archive.ErrRefused) && !errors.Is(err, archive.ErrLimit) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			if entries, err := os.ReadDir(above); err != nil || len(entries) != 1 {
				t.Errorf("beside the bundle: %v, %v", entries, err)
			}
		})
	}
}

func TestBrokenBundlesSayWhatIsWrong(t *testing.T) {
	good := rawTar(t, file("a"), tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 300 << 10})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(good)
	_ = z.Close()
	zipFile := rawZip(t, zipped{"a", strings.Repeat("a", 50), 0o644, func(h *zip.FileHeader) { h.Method = zip.Store }})
	spoilt := bytes.Replace(zipFile, []byte("aaa"), []byte("aba"), 1)
	for what, c := range map[string]struct {
		kind    archive.Kind
		content []byte
		want    []string
	}{
		"cut tar":        {archive.Tar, good[:100_000], []string{"Error extracting tar archive", `"big"`, "unexpected EOF"}},
		"cut tgz":        {archive.TarGzip, packed.Bytes()[:packed.Len()/2], []string{"Error extracting tar archive", "unexpected EOF"}},
		"cut by one":     {archive.TarGzip, packed.Bytes()[:packed.Len()-1], []string{"Error extracting tar archive", "unexpected EOF"}},
		"tgz that is no": {archive.TarGzip, good, []string{"Error extracting tar archive", "gzip: invalid header"}},
		"text":           {archive.Tar, []byte("<html>404 Not Found</html>" + strings.Repeat(" ", 1000)), []string{"Error extracting tar archive"}},
		"nothing":        {archive.Tar, nil, []string{"Error extracting tar archive", "empty"}},
		"no zip":         {archive.Zip, good, []string{"Error extracting zip archive", "not a valid zip"}},
		"checksum":       {archive.Zip, spoilt, []string{"Error extracting zip archive", `"a"`, "checksum"}},
		"bomb":           {archive.TarGzip, gzipped(t, rawTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "b", Size: 3 << 20})), []string{"limit", `"b"`}},
		"zip bomb":       {archive.Zip, rawZip(t, zipped{"b", strings.Repeat("a", 3<<20), 0o644, nil}), []string{"limit", `"b"`}},
		"unknown":        {"rar", good, []string{"unknown kind", "tzst"}},
	} {
		err := archive.UnpackBundle(t.Context(), bring(t, "b", c.content), c.kind, t.TempDir(), archive.Limits{Bytes: 1 << 20})
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
	}
}

func gzipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTarsKeepOwnersSetuidHardLinksAndTheLastOfTwo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	tool := tar.Header{Typeflag: tar.TypeReg, Name: "tool", Mode: 0o4755, Uid: 1234, Gid: 5678, Uname: "root", Gname: "no-such-group"}
	b := rawTar(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "a commit"}},
		file("x"), tool, tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 7}, tar.Header{Typeflag: tar.TypeLink, Name: "y", Linkname: "./x"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "x", Uid: 7, Gid: 8}, tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o2500, Uid: 7}, file("d/f"))
	to := t.TempDir()
	if err := archive.UnpackBundle(t.Context(), bring(t, "b.tar", b), archive.Tar, to, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	stat := func(name string) (fs.FileInfo, *syscall.Stat_t) {
		info, err := os.Lstat(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		return info, info.Sys().(*syscall.Stat_t)
	}
	if info, st := stat("tool"); st.Uid != 0 || st.Gid != 5678 || info.Mode() != 0o755|fs.ModeSetuid {
		t.Errorf("tool: %v %d:%d", info.Mode(), st.Uid, st.Gid)
	}
	if info, st := stat("y"); info.Size() != 7 || st.Nlink != 2 {
		t.Errorf("y: %d bytes, %d names", info.Size(), st.Nlink)
	}
	if _, st := stat("l"); st.Uid != 7 || st.Gid != 8 {
		t.Errorf("l: %d:%d", st.Uid, st.Gid)
	}
	if info, st := stat("d"); st.Uid != 7 || info.Mode() != fs.ModeDir|fs.ModeSetgid|0o500 {
		t.Errorf("d: %v %d", info.Mode(), st.Uid)
	}
}

func TestOnlyTheOneWrappingDirectoryGoes(t *testing.T) {
	for what, c := range map[string]struct {
		headers []tar.Header
		want    string // a name in the result
	}{
		"wrapped":            {[]tar.Header{file("w/appspec.yml"), file("w/w/x")}, "w/x"},
		"wrapped in .unwrap": {[]tar.Header{file(".unwrap/AppSpec.yaml"), file(".unwrap/.unwrap/x")}, ".unwrap/x"},
		"twice":              {[]tar.Header{file("o/w/appspec.yml")}, "o/w/appspec.yml"},
		"with another":       {[]tar.Header{file("w/appspec.yml"), file("x")}, "w/appspec.yml"},
		"without appspec":    {[]tar.Header{file("w/x")}, "w/x"},
		"read-only":          {[]tar.Header{{Typeflag: tar.TypeDir, Name: "w/", Mode: 0o500}, file("w/appspec.yml"), file("w/x")}, "x"},
	} {
		to := t.TempDir()
		if err := archive.UnpackBundle(t.Context(), bring(t, "b", rawTar(t, c.headers...)), archive.Tar, to, archive.Limits{}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(filepath.Join(to, c.want)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzBundlesStayInTheirDirectory(f *testing.F) {
	f.Add(true, rawTar(f, file("a/b"), link("l", "a/../b"), dir("a")))
	f.Add(true, rawTar(f, link("l", ".."), file("l/evil"), file("l")))
	f.Add(true, rawTar(f, file("x"), tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "x"}))
	f.Add(false, rawZip(f, zipped{"l", "..", fs.ModeSymlink | 0o777, nil}, zipped{"l/evil", "x", 0o644, nil}))
	f.Add(false, rawZip(f, zipped{"a/", "", fs.ModeDir | 0o755, nil}, zipped{"a/b", "x", 0o600, nil}))
	f.Fuzz(func(t *testing.T, isTar bool, content []byte) {
		above := t.TempDir()
		to := filepath.Join(above, "bundle")
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		kind := archive.Zip
		if isTar {
			kind = archive.Tar
		}
		_ = archive.UnpackBundle(t.Context(), bring(t, "b", content), kind, to, archive.Limits{Files: 100, Bytes: 1 << 20})
		entries, err := os.ReadDir(above)
		if err != nil || len(entries) != 1 {
			t.Errorf("beside the bundle: %v, %v", entries, err)
		}
	})
}
