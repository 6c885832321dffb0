package archive_test

import (
	"bytes"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// write makes files below dir: a name with a trailing slash is a directory, "-> x" content a link to x.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		parent := full
		if !strings.HasSuffix(name, "/") {
			parent = filepath.Dir(full)
		}
		err := os.MkdirAll(parent, 0o755)
		target, link := strings.CutPrefix(content, "-> ")
		switch {
		case err != nil || parent == full:
		case link:
			err = os.Symlink(target, full)
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// read is the inverse of write, for files and links.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch d.Type() {
		case 0:
			b, err := os.ReadFile(path)
			out[name] = string(b)
			return err
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			out[name] = "-> " + target
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pack(t *testing.T, dir string, exclude ...string) ([]byte, archive.Packed) {
	t.Helper()
	var b bytes.Buffer
	p, err := archive.Pack(t.Context(), &b, dir, exclude)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), p
}

func tree() map[string]string {
	return map[string]string{
		"appspec.yml": "version: 0.0\n", "bin/run": strings.Repeat("#!/bin/sh\n", 50_000), "empty/": "", "a/b/c/d": "deep",
		"a.txt": "sorts after a/", "current": "-> a/b", "a/b/up": "-> ../../bin/./run", "ünï/" + strings.Repeat("long", 40): "x",
	}
}

func TestTheSameTreeGivesTheSameBytesWhereverAndWheneverItWasMade(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	write(t, one, tree())
	write(t, two, tree())
	past := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	for path, err := range map[string]error{
		"a.txt": os.Chtimes(filepath.Join(two, "a.txt"), past, past), "appspec.yml": os.Chmod(filepath.Join(two, "appspec.yml"), 0o600),
		"bin": os.Chmod(filepath.Join(two, "bin"), 0o700), "a/b/c/d": os.Link(filepath.Join(two, "a/b/c/d"), filepath.Join(t.TempDir(), "hard")),
	} {
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	a, p := pack(t, one)
	b, q := pack(t, two)
	if !bytes.Equal(a, b) || p != q {
		t.Errorf("%+v and %+v", p, q)
	}
	if p.Size != int64(len(a)) || p.Files != 7 {
		t.Errorf("size %d, files %d; want %d, 7", p.Size, p.Files, len(a))
	}
	// The golden digest guards against a library that compresses in another way: all archives would get new names.
	if want := fleet.Digest("97ee4cfd0745c0e6aee2a4d644eb33f56f37cbf8c9c9278ac7c095bdaf4749db"); p.Digest != want {
		t.Errorf("digest %s, want %s", p.Digest, want)
	}
}

func TestPackedTreesComeBackWhole(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, from, tree())
	if err := os.Chmod(filepath.Join(from, "bin/run"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077) // modes must not depend on it
	defer syscall.Umask(old)
	when := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	var b bytes.Buffer
	p, err := archive.PackAt(t.Context(), &b, from, nil, when)
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Unpack(t.Context(), &b, to, p.Digest, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	got, want := read(t, to), read(t, from)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is %.60q, want %.60q", name, got[name], want[name])
		}
	}
	for name, mode := range map[string]fs.FileMode{"empty": fs.ModeDir | 0o755, "bin": fs.ModeDir | 0o755, "bin/run": 0o755, "a.txt": 0o644} {
		info, err := os.Stat(filepath.Join(to, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v (%v)", name, info.Mode(), mode, err)
		}
		if !info.IsDir() && !info.ModTime().Equal(when) {
			t.Errorf("%s has time %v, want %v", name, info.ModTime(), when)
		}
	}
}

func TestPackRefusesWhatCannotBeDeployedAndNamesIt(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"socket": func(path string) error {
			l, err := net.Listen("unix", path)
			t.Cleanup(func() { l.Close() })
			return err
		},
		"up":        func(path string) error { return os.Symlink("../../x", path) },
		"absolute":  func(path string) error { return os.Symlink("/etc/passwd", path) },
		"roundtrip": func(path string) error { return os.Symlink("nowhere/../../../x", path) },
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"d/ok": ""})
		if err := make(filepath.Join(dir, "d", name)); err != nil {
			t.Fatal(err)
		}
		_, err := archive.Pack(t.Context(), &bytes.Buffer{}, dir, nil)
		if err == nil || !strings.Contains(err.Error(), `"d/`+name+`"`) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := archive.Pack(t.Context(), &bytes.Buffer{}, dir, []string{"d/[!o]*"}); err != nil {
			t.Errorf("%s is excluded, but: %v", name, err)
		}
	}
}

func TestExcludesFollowGitignore(t *testing.T) {
	names := []string{"top", "a/top", "x.log", "a/x.log", "node_modules/m/i.js", "a/node_modules/i.js", "build", "a/build/o", "docs/a/b/x.md", "docs/x.md", "[x]", "b1", "b2"}
	for pattern, gone := range map[string]string{
		"*.log":              "x.log a/x.log",
		"/top":               "top",
		"top":                "top a/top",
		"build/":             "a/build/o",
		"/node_modules":      "node_modules/m/i.js",
		"**/x.log":           "x.log a/x.log",
		"docs/**/x.md":       "docs/a/b/x.md docs/x.md",
		"docs/*/x.md":        "",
		"a/**":               "a/top a/x.log a/node_modules/i.js a/build/o",
		`\[x]`:               "[x]",
		"b[!2]":              "b1",
		"b[12]":              "b1 b2",
		"b?":                 "b1 b2",
		"*.log|!a/x.log":     "x.log",
		"/a|!a/top":          "a/top a/x.log a/node_modules/i.js a/build/o",
		"# a comment||x.log": "x.log a/x.log",
	} {
		dir, to := t.TempDir(), t.TempDir()
		for _, name := range names {
			write(t, dir, map[string]string{name: "x"})
		}
		b, p := pack(t, dir, strings.Split(pattern, "|")...)
		if err := archive.Unpack(t.Context(), bytes.NewReader(b), to, p.Digest, archive.Limits{}); err != nil {
			t.Fatal(err)
		}
		got := read(t, to)
		for _, name := range names {
			_, packed := got[name]
			if excluded := strings.Contains(" "+gone+" ", " "+name+" "); packed == excluded {
				t.Errorf("%s: %s packed is %v", pattern, name, packed)
			}
		}
	}
	for _, bad := range []string{"[a", "/", "!", "[z-a]"} {
		if err := archive.CheckExclude([]string{bad}); err == nil {
			t.Errorf("pattern %q was taken", bad)
		}
	}
}
