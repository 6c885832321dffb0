package dir_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/dir"
	"github.com/brine-deploy/brine/pkg/store/storetest"
)

func open(t *testing.T, path string) *dir.Dir {
	t.Helper()
	d, err := dir.New(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDirKeepsTheContract(t *testing.T) {
	storetest.Suite(t, func(t *testing.T) store.Driver { return open(t, filepath.Join(t.TempDir(), "new", "store")) })
}

func TestDirIsPrivateAndLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	d := open(t, path)
	if err := d.Put(t.Context(), "app/x", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	_ = d.Put(t.Context(), "app/short", strings.NewReader("x"), 2)
	_ = d.Put(t.Context(), "app/x", strings.NewReader("y"), 1)
	var files []string
	err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		info, _ := e.Info()
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		if !e.IsDir() {
			files = append(files, filepath.Base(name))
		}
		return err
	})
	if err != nil || len(files) != 1 || files[0] != "x" {
		t.Errorf("files %v, %v", files, err)
	}
}

func TestWhatACrashLeftIsInvisibleAndSweptLater(t *testing.T) {
	path := t.TempDir()
	old, young := filepath.Join(path, "app", ".new-old"), filepath.Join(path, "app", ".new-young")
	if err := os.Mkdir(filepath.Join(path, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	then := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(old, then, then); err != nil {
		t.Fatal(err)
	}
	if names, err := open(t, path).List(t.Context(), ""); err != nil || len(names) != 0 {
		t.Errorf("list: %v, %v", names, err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old half is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("the young half may still be written, but is gone")
	}
}
