package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func digest(b []byte) fleet.Digest {
	sum := sha256.Sum256(b)
	return fleet.Digest(hex.EncodeToString(sum[:]))
}

// handmade is an archive that Pack would never write.
func handmade(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, h.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compress(t, raw.Bytes())
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func compress(t testing.TB, raw []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 3} }
func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func TestUnpackRefusesWhatReachesOutAndNamesIt(t *testing.T) {
	small := archive.Limits{Files: 3, Bytes: 8 << 10, Name: 100}
	for why, c := range map[string]struct {
		want  error
		name  string
		entry []tar.Header
	}{
		"dot dot":               {archive.ErrRefused, "../evil", []tar.Header{file("../evil")}},
		"dot dot within":        {archive.ErrRefused, "a/../../evil", []tar.Header{file("a/../../evil")}},
		"dot dot of directory":  {archive.ErrRefused, "../", []tar.Header{dir("..")}},
		"absolute":              {archive.ErrRefused, "/evil", []tar.Header{file("/evil")}},
		"absolute link":         {archive.ErrRefused, "l", []tar.Header{link("l", "/etc/passwd")}},
		"link up":               {archive.ErrRefused, "d/l", []tar.Header{link("d/l", "../../evil")}},
		"link up in the middle": {archive.ErrRefused, "d/l", []tar.Header{link("d/l", "a/../../../evil")}},
		"link to nothing":       {archive.ErrRefused, "l", []tar.Header{link("l", "")}},
		"through a link":        {archive.ErrRefused, "l/evil", []tar.Header{link("l", "."), file("l/evil")}},
		"through a link, deep":  {archive.ErrRefused, "d/l/x/evil", []tar.Header{dir("d"), link("d/l", ".."), file("d/l/x/evil")}},
		"chain of links":        {archive.ErrRefused, "evil", []tar.Header{dir("d"), link("d/up", ".."), link("evil", "d/up/../x")}},
		"chain, last link late": {archive.ErrRefused, "d/evil", []tar.Header{link("d/evil", "../q/../x"), link("q", ".")}},
		"a file as directory":   {archive.ErrRefused, "f/x", []tar.Header{file("f"), file("f/x")}},
		"link over directory":   {archive.ErrRefused, "d", []tar.Header{file("d/x"), link("d", ".")}},
		"twice":                 {archive.ErrRefused, "x", []tar.Header{file("x"), file("x")}},
		"twice, other spelling": {archive.ErrRefused, "./x", []tar.Header{file("x"), file("./x")}},
		"hard link":             {archive.ErrRefused, "h", []tar.Header{file("x"), {Typeflag: tar.TypeLink, Name: "h", Linkname: "x"}}},
		"device":                {archive.ErrRefused, "dev", []tar.Header{{Typeflag: tar.TypeChar, Name: "dev", Devmajor: 1, Devminor: 3}}},
		"block device":          {archive.ErrRefused, "dev", []tar.Header{{Typeflag: tar.TypeBlock, Name: "dev", Devmajor: 8}}},
		"fifo":                  {archive.ErrRefused, "pipe", []tar.Header{{Typeflag: tar.TypeFifo, Name: "pipe"}}},
		"setuid":                {archive.ErrRefused, "su", []tar.Header{{Typeflag: tar.TypeReg, Name: "su", Mode: 0o4755}}},
		"too many files":        {archive.ErrLimit, "4", []tar.Header{file("1"), file("2"), file("3"), file("4")}},
		"too many directories":  {archive.ErrLimit, "1/2/3/4", []tar.Header{file("1/2/3/4")}},
		"too big":               {archive.ErrLimit, "big", []tar.Header{{Typeflag: tar.TypeReg, Name: "big", Size: 9 << 10}}},
		"together too big":      {archive.ErrLimit, "2", []tar.Header{{Typeflag: tar.TypeReg, Name: "1", Size: 5 << 10}, {Typeflag: tar.TypeReg, Name: "2", Size: 4 << 10}}},
		"too long":              {archive.ErrLimit, "aaaa", []tar.Header{file(strings.Repeat("a/", 50) + "a")}},
		"part too long":         {archive.ErrLimit, "bbbb", []tar.Header{file(strings.Repeat("b", 256))}},
		"long link":             {archive.ErrLimit, "l", []tar.Header{link("l", strings.Repeat("a/", 60))}},
	} {
		t.Run(why, func(t *testing.T) {
			above := t.TempDir()
			to := filepath.Join(above, "release")
			if err := os.Mkdir(to, 0o755); err != nil {
				t.Fatal(err)
			}
			if why == "too long" {
				c.name = "a/a/a/"
			}
			b := handmade(t, c.entry...)
			err := archive.Unpack(t.Context(), bytes.NewReader(b), to, digest(b), small)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), `"`+c.name) {
				t.Errorf("error %v, want %v that names %q", err, c.want, c.name)
			}
			for name, content := range read(t, above) {
				if !strings.HasPrefix(name, "release/") || strings.HasPrefix(content, "-> ") {
					t.Errorf("left behind: %s %s", name, content)
				}
			}
		})
	}
}

func TestUnpackTakesLinksThatStayInside(t *testing.T) {
	to := t.TempDir()
	b := handmade(t, dir("."), file("./d/f"), link("a", "d/../d/f"), link("d/up", "../a"), link("loop", "loop"), link("dangling", "not/there"), dir("d"))
	if err := archive.Unpack(t.Context(), bytes.NewReader(b), to, digest(b), archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "d/up")); err != nil || len(got) != 3 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAlteredArchivesAreNotTheOrderedOne(t *testing.T) {
	from := t.TempDir()
	write(t, from, map[string]string{"a": strings.Repeat("some text ", 1000), "b": "x", "l": "-> a"})
	good, p := pack(t, from)
	other := handmade(t, file("a"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for what, b := range map[string][]byte{
		"another": other, "flipped bit": flipped, "trailing byte": append(bytes.Clone(good), 'x'), "nothing": nil,
		"cut in half": good[:len(good)/2], "cut by one": good[:len(good)-1], "no archive": []byte("<html>404</html>"),
	} {
		to := t.TempDir()
		err := archive.Unpack(t.Context(), bytes.NewReader(b), to, p.Digest, archive.Limits{})
		if !errors.Is(err, archive.ErrDigest) {
			t.Errorf("%s: %v", what, err)
		}
		if strings.HasPrefix(what, "cut in") && !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Lstat(filepath.Join(to, "l")); err == nil {
			t.Errorf("%s: a link was made before the digest was known", what)
		}
	}
}

func TestUnpackTellsWhatItsReaderAndItsContextSaid(t *testing.T) {
	from := t.TempDir()
	write(t, from, tree())
	b, p := pack(t, from)
	lost := errors.New("connection lost")
	err := archive.Unpack(t.Context(), io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(lost)), t.TempDir(), p.Digest, archive.Limits{})
	if !errors.Is(err, lost) || errors.Is(err, archive.ErrDigest) {
		t.Errorf("reader failed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := archive.Unpack(ctx, bytes.NewReader(b), t.TempDir(), p.Digest, archive.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestBombsStopAtTheLimit(t *testing.T) {
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 1, PAXRecords: map[string]string{"BRINE.x": strings.Repeat("0", 900<<10)}}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("1"))
	b := compress(t, raw.Bytes())
	limits := archive.Limits{Bytes: 64 << 10} // the one file is small, its headers are not
	if err := archive.Unpack(t.Context(), bytes.NewReader(b), t.TempDir(), digest(b), limits); !errors.Is(err, archive.ErrLimit) {
		t.Errorf("headers: %v", err)
	}
	wide := compress(t, make([]byte, 80<<20), zstd.WithWindowSize(64<<20))
	if err := archive.Unpack(t.Context(), bytes.NewReader(wide), t.TempDir(), digest(wide), archive.Limits{}); err == nil || !strings.Contains(err.Error(), "exceed") {
		t.Errorf("window: %v", err)
	}
}

func TestAFullDiskIsSeenAsOne(t *testing.T) {
	full := t.TempDir()
	if err := syscall.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("needs the right to mount a tmpfs (root)")
	}
	t.Cleanup(func() { _ = syscall.Unmount(full, 0) })
	b := handmade(t, tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 1 << 20})
	err := archive.Unpack(t.Context(), bytes.NewReader(b), full, digest(b), archive.Limits{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), `"big"`) {
		t.Errorf("%v", err)
	}
}

func TestSealedArchivesOpenForTheirIdentityOnly(t *testing.T) {
	identity, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, _ := archive.NewIdentity()
	secret := []byte(strings.Repeat("the archive ", 20_000))
	var b bytes.Buffer
	w, err := archive.Seal(&b, identity)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(secret); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sealed := b.Bytes()
	if bytes.Contains(sealed, secret[:12]) {
		t.Error("plain text in what was sealed")
	}
	open := func(b []byte, identity string) ([]byte, error) {
		r, err := archive.Open(bytes.NewReader(b), identity)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	if got, err := open(sealed, identity); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	altered := bytes.Clone(sealed)
	altered[len(altered)-1] ^= 1
	for what, err := range map[string]error{
		"stranger": second(open(sealed, stranger)), "altered": second(open(altered, identity)), "cut": second(open(sealed[:len(sealed)-20], identity)),
		"cut at a chunk": second(open(sealed[:len(sealed)-len(sealed)%(64<<10)], identity)), "empty": second(open(nil, identity)),
	} {
		if err == nil || errors.Is(err, archive.ErrAltered) == (what == "stranger") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := archive.Seal(&b, identity[:20]); err == nil || strings.Contains(err.Error(), identity[:20]) {
		t.Errorf("malformed identity: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzUnpackStaysInItsDirectory(f *testing.F) {
	raw := func(h ...tar.Header) []byte {
		z, _ := zstd.NewReader(bytes.NewReader(handmade(f, h...)))
		defer z.Close()
		b, _ := io.ReadAll(z)
		return b
	}
	f.Add(raw(file("a/b"), link("l", "a/../b"), dir("a")))
	f.Add(raw(link("l", ".."), file("l/evil")))
	f.Add(raw(file("../evil")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		above := t.TempDir()
		to := filepath.Join(above, "release")
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{raw, compress(t, raw, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10))} { // the second gets the fuzzer past zstd
			err := archive.Unpack(t.Context(), bytes.NewReader(b), to, digest(b), archive.Limits{Files: 100, Bytes: 1 << 20})
			if err != nil {
				continue
			}
			for name, content := range read(t, to) {
				end, err := filepath.EvalSymlinks(filepath.Join(to, name))
				if err == nil && end != to && !strings.HasPrefix(end, to+"/") {
					t.Errorf("%s (%.60q) leads to %s", name, content, end)
				}
			}
		}
		entries, err := os.ReadDir(above)
		if err != nil || len(entries) != 1 {
			t.Errorf("beside the release: %v, %v", entries, err)
		}
	})
}

func BenchmarkUnpackManySmallFiles(b *testing.B) {
	var headers []tar.Header
	for i := range 10_000 {
		headers = append(headers, tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("d%d/f%d", i%100, i), Size: 2000})
	}
	packed := handmade(b, headers...)
	want := digest(packed)
	for b.Loop() {
		if err := archive.Unpack(b.Context(), bytes.NewReader(packed), b.TempDir(), want, archive.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
