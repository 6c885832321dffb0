package keyfile

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestKeyIsMadeOnceAndReadByItsOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	first, err := LoadOrCreate(path, 3, func() ([]byte, error) { return []byte("abc"), nil })
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(path, 3, func() ([]byte, error) { return []byte("xyz"), nil })
	if err != nil || !bytes.Equal(first, again) {
		t.Fatalf("second load gave %q, %v", again, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".key-*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestAllWhoCreateAtOnceGetTheSameKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var got [16][]byte
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			got[i], _ = LoadOrCreate(path, 1, func() ([]byte, error) { return []byte{byte(i)}, nil })
		})
	}
	wg.Wait()
	for _, g := range got {
		if len(g) != 1 || g[0] != got[0][0] {
			t.Fatalf("different keys: %v", got)
		}
	}
}

func TestBadKeyFileIsRefusedWithTheReason(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode fs.FileMode
		want string
	}{
		"readable by the group": {"YWJj\n", 0o640, "chmod 600"},
		"readable by others":    {"YWJj\n", 0o604, "chmod 600"},
		"cut off":               {"YW\n", 0o600, "base64 of 3 bytes"},
		"too long":              {"YWJjZA==\n", 0o600, "base64 of 3 bytes"},
		"empty":                 {"", 0o600, "base64 of 3 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := LoadOrCreate(path, 3, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
