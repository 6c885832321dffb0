package fileroot_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/brine-deploy/brine/pkg/fileroot"
)

// server has local files; it counts what it is asked, and may be told to lie.
type server struct {
	files   fileroot.Local
	indexer fileroot.Indexer
	chunks  atomic.Int64
	spoil   func([]byte) []byte
	add     fileroot.Entry
}

func (s *server) Index(ctx context.Context, known string) (fileroot.Index, error) {
	index, err := s.indexer.Index(ctx, s.files)
	if s.add.Name != "" {
		index["base"] = append(index["base"], s.add)
	}
	if index.Digest() == known {
		return nil, err
	}
	return index, err
}

func (s *server) Chunk(ctx context.Context, saltenv string, e fileroot.Entry, offset int64) ([]byte, error) {
	s.chunks.Add(1)
	f, _, err := s.files.Open(ctx, saltenv, e.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all, err := io.ReadAll(f)
	piece := all[offset:min(int64(len(all)), offset+fileroot.ChunkSize)]
	if s.spoil != nil {
		piece = s.spoil(slices.Clone(piece))
	}
	return piece, err
}

func remote(t *testing.T, s *server) (*fileroot.Remote, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := fileroot.NewRemote(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func content(t *testing.T, r *fileroot.Remote, name string) (string, error) {
	t.Helper()
	f, info, err := r.Open(t.Context(), "base", name)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(f)
	if info.Name() != filepath.Base(name) || info.Size() != int64(len(text)) {
		t.Errorf("%s: %s of %d bytes", name, info.Name(), info.Size())
	}
	return string(text), errors.Join(err, f.Close())
}

func TestFilesComeOnceAndWhole(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 3*fileroot.ChunkSize/16) + "end"
	root := write(t, t.TempDir(), map[string]string{"web/init.sls": "a: 1\n", "large": large, "empty": ""})
	if err := os.Chmod(root+"/large", 0o750); err != nil { //nolint:gosec // its mode is what is looked at
		t.Fatal(err)
	}
	s := &server{files: fileroot.New(root)}
	r, dir := remote(t, s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := content(t, r, "large"); err != nil || got != large {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
	if n := s.chunks.Load(); n != 4 {
		t.Errorf("%d chunks for 4 pieces", n)
	}
	for name, want := range map[string]string{"web/init.sls": "a: 1\n", "/empty": ""} {
		if got, err := content(t, r, name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, info, err := r.Open(t.Context(), "base", "large"); err != nil || info.Mode() != 0o750 {
		t.Errorf("%v, %v", info, err)
	}
	if names, err := r.List(t.Context(), "base", "web"); err != nil || !slices.Equal(names, []string{"web/init.sls"}) {
		t.Errorf("%v, %v", names, err)
	}

	before := s.chunks.Load()
	again, err := fileroot.NewRemote(dir, nil) // without a server
	if err != nil {
		t.Fatal(err)
	}
	if got, err := content(t, again, "large"); err != nil || got != large || s.chunks.Load() != before {
		t.Errorf("what is here already is fetched again: %v", err)
	}

	write(t, root, map[string]string{"late": "new"})
	if _, err := content(t, r, "late"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err) // not before it is refreshed
	}
	write(t, root, map[string]string{"late": "newer", "web/init.sls": "b: 2\n"})
	if err := os.Remove(root + "/large"); err != nil {
		t.Fatal(err)
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, root, map[string]string{"late": "latest"}) // after the index was made, before it is fetched
	if got, err := content(t, r, "late"); err != nil || got != "latest" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := content(t, r, "web/init.sls"); err != nil || got != "b: 2\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := content(t, r, "large"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if kept, err := os.ReadDir(dir + "/objects"); err != nil || len(kept) != 3 {
		t.Errorf("%d objects are kept, %v", len(kept), err)
	}
}

func TestWhatIsNotItsDigestIsNotKept(t *testing.T) {
	s := &server{files: fileroot.New(write(t, t.TempDir(), map[string]string{"a": "text"}))}
	r, dir := remote(t, s)
	for name, spoil := range map[string]func([]byte) []byte{
		"other bytes": func(b []byte) []byte { b[0] ^= 1; return b },
		"fewer bytes": func(b []byte) []byte { return b[1:] },
		"more bytes":  func(b []byte) []byte { return append(b, 'x') },
	} {
		s.spoil = spoil
		if got, err := content(t, r, "a"); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	s.spoil = nil
	if got, err := content(t, r, "a"); err != nil || got != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if left, err := os.ReadDir(dir + "/partial"); err != nil || len(left) != 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestAnIndexThatNamesWhatIsOutsideIsRefused(t *testing.T) {
	for _, bad := range []fileroot.Entry{{Name: "../x", Digest: strings.Repeat("0", 64)}, {Name: "/x", Digest: strings.Repeat("0", 64)}, {Name: "x", Digest: "../../x"}} {
		s := &server{files: fileroot.New(t.TempDir()), add: bad}
		r, _ := remote(t, s)
		if err := r.Refresh(t.Context()); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
