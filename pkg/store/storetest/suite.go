// Package storetest holds the suite that every driver of the store must pass.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/brine-deploy/brine/pkg/store"
)

// large is more than drivers send in one piece.
const large = 20 << 20

// Suite checks a driver against its contract. open gives an empty store.
func Suite(t *testing.T, open func(t *testing.T) store.Driver) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Driver)
	}{
		{"what was put comes back from any offset", comesBack},
		{"what is there is never replaced", neverReplaced},
		{"what is not there is not found", notFound},
		{"half an object is no object", noHalves},
		{"one of many writers wins", oneWins},
		{"lists are sorted and have the prefix", lists},
		{"deleted is gone and may be put again", deletes},
		{"a presigned URL needs no credentials", presigned},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// content gives n bytes that do not repeat.
func content(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// stream hides everything but Read, as an HTTP body would.
func stream(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) }

func put(t *testing.T, d store.Driver, name string, b []byte) {
	t.Helper()
	if err := d.Put(t.Context(), name, stream(b), int64(len(b))); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(t *testing.T, d store.Driver, name string, offset int64) []byte {
	t.Helper()
	r, err := d.Get(t.Context(), name, offset)
	if err != nil {
		t.Fatalf("get %s from %d: %v", name, offset, err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return b
}

func comesBack(t *testing.T, d store.Driver) {
	for i, size := range []int{0, 1, 70_000, large} {
		name, b := fmt.Sprintf("app/%d", i), content(size, byte(i))
		put(t, d, name, b)
		if n, err := d.Stat(t.Context(), name); err != nil || n != int64(size) {
			t.Errorf("stat %s: %d, %v; want %d", name, n, err, size)
		}
		for _, offset := range []int{0, size / 2, max(0, size-1), size, size + 10} {
			if got := get(t, d, name, int64(offset)); !bytes.Equal(got, b[min(offset, size):]) {
				t.Errorf("%s of %d bytes from %d: got %d bytes", name, size, offset, len(got))
			}
		}
	}
}

func neverReplaced(t *testing.T, d store.Driver) {
	for _, size := range []int{10, large} {
		name, b := fmt.Sprintf("app/%d", size), content(size, 1)
		put(t, d, name, b)
		err := d.Put(t.Context(), name, stream(content(size, 2)), int64(size))
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("second put of %d bytes: %v", size, err)
		}
		if !bytes.Equal(get(t, d, name, 0), b) {
			t.Errorf("%d bytes were replaced", size)
		}
	}
}

func notFound(t *testing.T, d store.Driver) {
	if _, err := d.Stat(t.Context(), "app/none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if _, err := d.Get(t.Context(), "app/none", 7); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := d.Delete(t.Context(), "app/none"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if names, err := d.List(t.Context(), "app/"); err != nil || len(names) != 0 {
		t.Errorf("list: %v, %v", names, err)
	}
}

func noHalves(t *testing.T, d store.Driver) {
	lost := errors.New("lost")
	cancelled, cancel := context.WithCancel(t.Context())
	for _, size := range []int{1000, large} {
		b := content(size, 3)
		half := func(end error) io.Reader { return io.MultiReader(stream(b[:size/2]), iotest.ErrReader(end)) }
		if err := d.Put(t.Context(), "app/lost", half(lost), int64(size)); err == nil {
			t.Errorf("%d bytes: put of half of them succeeded", size)
		}
		if err := d.Put(t.Context(), "app/short", stream(b[:size/2]), int64(size)); err == nil {
			t.Errorf("%d bytes: put of half of them succeeded", size)
		}
		if err := d.Put(t.Context(), "app/long", stream(b), int64(size/2)); err == nil {
			t.Errorf("%d bytes: put of twice as many succeeded", size/2)
		}
	}
	cancel()
	if err := d.Put(cancelled, "app/cancelled", stream(content(10, 4)), 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled put: %v", err)
	}
	if names, err := d.List(t.Context(), ""); err != nil || len(names) != 0 {
		t.Errorf("halves that are seen: %v, %v", names, err)
	}
}

func oneWins(t *testing.T, d store.Driver) {
	var wg sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		wg.Go(func() {
			b := content(1<<20, byte(i))
			// A store that saw two writers at once may ask one of them to come again.
			for errs[i] = store.ErrTemporary; errors.Is(errs[i], store.ErrTemporary); {
				errs[i] = d.Put(t.Context(), "app/one", stream(b), int64(len(b)))
			}
		})
	}
	wg.Wait()
	winner := slices.Index(errs, nil)
	for i, err := range errs {
		if i != winner && !errors.Is(err, store.ErrExists) {
			t.Errorf("writer %d: %v (writer %d won)", i, err, winner)
		}
	}
	if winner < 0 || !bytes.Equal(get(t, d, "app/one", 0), content(1<<20, byte(winner))) {
		t.Errorf("the winner, %d, is not what is there", winner)
	}
}

func lists(t *testing.T, d store.Driver) {
	for _, name := range []string{"shop/b", "shop/a", "shop2/c", "other/d"} {
		put(t, d, name, []byte("x"))
	}
	for prefix, want := range map[string][]string{
		"shop/": {"shop/a", "shop/b"}, "shop": {"shop/a", "shop/b", "shop2/c"}, "": {"other/d", "shop/a", "shop/b", "shop2/c"}, "none": nil,
	} {
		if got, err := d.List(t.Context(), prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %v, %v; want %v", prefix, got, err, want)
		}
	}
}

func deletes(t *testing.T, d store.Driver) {
	put(t, d, "app/x", []byte("one"))
	if err := d.Delete(t.Context(), "app/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(t.Context(), "app/x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	put(t, d, "app/x", []byte("two"))
	if got := get(t, d, "app/x", 0); string(got) != "two" {
		t.Errorf("got %q", got)
	}
}

func presigned(t *testing.T, d store.Driver) {
	p, ok := d.(store.Presigner)
	if !ok {
		return // the master serves its objects, see package blobs
	}
	b := content(1000, 5)
	put(t, d, "app/x", b)
	url, err := p.Presign(t.Context(), "app/x", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(url, ranged string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", ranged)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, got
	}
	if code, got := fetch(url, "bytes=0-"); code != http.StatusPartialContent || !bytes.Equal(got, b) {
		t.Errorf("status %d, %d bytes", code, len(got))
	}
	if code, got := fetch(url, "bytes=400-"); code != http.StatusPartialContent || !bytes.Equal(got, b[400:]) {
		t.Errorf("from 400: status %d, %d bytes", code, len(got))
	}
	if code, _ := fetch(url+"0", "bytes=0-"); code != http.StatusForbidden {
		t.Errorf("altered signature: status %d", code)
	}
}
