package fileroot_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/fileroot"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheFirstRootWins(t *testing.T) {
	first := write(t, t.TempDir(), map[string]string{"a": "first", "d/x": "1"})
	second := write(t, t.TempDir(), map[string]string{"a": "second", "d/y": "2", ".git/config": "no"})
	if err := errors.Join(os.Mkdir(first+"/empty", 0o755), os.Mkdir(second+"/d/e", 0o755)); err != nil {
		t.Fatal(err)
	}
	files := fileroot.Local{"base": {first, "/no/such/dir", second}, "dev": {second}}
	for saltenv, want := range map[string]string{"base": "first", "dev": "second"} {
		f, info, err := files.Open(t.Context(), saltenv, "a")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || string(text) != want || info.Size() != int64(len(want)) {
			t.Errorf("%s: %q, %v", saltenv, text, err)
		}
	}
	got, err := files.List(t.Context(), "base", "")
	if want := []string{"a", "d/e/", "d/x", "d/y", "empty/"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err = files.List(t.Context(), "base", "d"); err != nil || !slices.Equal(got, []string{"d/e/", "d/x", "d/y"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err = files.List(t.Context(), "nope", ""); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNothingLeadsOut(t *testing.T) {
	outside := write(t, t.TempDir(), map[string]string{"secret": "s", "sub/secret": "s"})
	root := write(t, t.TempDir(), map[string]string{"in/file": "x"})
	for name, to := range map[string]string{"link": outside + "/secret", "dir": outside + "/sub", "up": "../../../../etc", "self": "self", "loop": ".", "fine": "in"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(root+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	files := fileroot.New(root)
	for _, name := range []string{"../" + filepath.Base(outside) + "/secret", "link", "dir/secret", "up/passwd", "in/../../x", "", ".", "in", "pipe", "no"} {
		if f, _, err := files.Open(t.Context(), "base", name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, %v", name, f, err)
		}
	}
	if f, _, err := files.Open(t.Context(), "base", "/fine/file"); err != nil || f.Close() != nil {
		t.Errorf("a link inside: %v", err)
	}
	got, err := files.List(t.Context(), "base", "")
	if want := []string{"fine/file", "in/file"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := files.List(t.Context(), "base", "../.."); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
