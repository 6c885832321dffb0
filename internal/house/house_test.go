package house_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// root returns the root of the tree.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// program returns the path of an external program, and skips the test by the program's name where it is missing.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s (Debian package %s)", name, debian)
	default:
		t.Skipf("needs %s (Debian package %s)", name, debian)
	}
	return ""
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
