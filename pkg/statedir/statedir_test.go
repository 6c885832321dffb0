package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADirectoryHasOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	release, err := Own(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Own(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second owner: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Own(dir); err != nil {
		t.Errorf("after release: %v", err)
	}
}
