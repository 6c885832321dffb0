package archive

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

func FuzzNothingLeavesTheDirectory(f *testing.F) {
	f.Add([]byte("PK\x05\x06"), "zip")
	f.Add([]byte("not a tar"), "tar")
	f.Fuzz(func(t *testing.T, text []byte, format string) {
		if format != "zip" {
			format = "tar"
		}
		top := t.TempDir()
		dir := filepath.Join(top, "d")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		o := &opened{host: &state.Host{}, blob: fetch.FromText(string(text)), format: format}
		if _, err := o.list(t.Context()); err != nil {
			return
		}
		_ = o.extract(t.Context(), dir, true) // what is refused is refused
		if left, err := os.ReadDir(top); err != nil || len(left) != 1 {
			t.Errorf("beside the directory there is %v, %v", left, err)
		}
	})
}

func FuzzALinkStaysInside(f *testing.F) {
	f.Add("a/b", "../c")
	f.Add("a", "x/..")
	f.Fuzz(func(t *testing.T, name, target string) {
		if !filepath.IsLocal(name) || !staysInside(filepath.Clean(name), target) {
			return
		}
		if !filepath.IsLocal(filepath.Join(filepath.Dir(filepath.Clean(name)), target)) {
			t.Errorf("%q -> %q leads out", name, target)
		}
	})
}
