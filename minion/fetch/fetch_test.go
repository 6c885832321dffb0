package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) {
	if text := os.Getenv("BRINE_TEST_FETCH"); text != "" {
		fetchUntilKilled(text)
		return
	}
	goleak.VerifyTestMain(m)
}

// host is a host with a Fetcher, and a store that it fetches from.
type host struct {
	*Fetcher
	t        *testing.T
	dir      string
	identity string
	url      string
	ranges   []string // of the requests so far
	serve    atomic.Pointer[http.HandlerFunc]
	mu       sync.Mutex // guards ranges and stored
	stored   map[string][]byte
}

func newHost(t *testing.T) *host {
	t.Helper()
	identity, err := archive.NewIdentity()
	must(t, err)
	h := &host{t: t, dir: t.TempDir(), identity: identity, stored: map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.ranges = append(h.ranges, r.Header.Get("Range"))
		h.mu.Unlock()
		if serve := h.serve.Load(); serve != nil {
			(*serve)(w, r)
			return
		}
		h.good(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	h.boot(Config{})
	return h
}

func (h *host) boot(cfg Config) {
	h.t.Helper()
	cfg.Dir, cfg.MasterHost, cfg.Pause = filepath.Join(h.dir, "cache"), "127.0.0.1", time.Millisecond
	cfg.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	f, err := New(cfg)
	must(h.t, err)
	h.t.Cleanup(func() { must(h.t, f.Close()) })
	h.Fetcher = f
}

func (h *host) requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.ranges
	h.ranges = nil
	return out
}

func (h *host) bytes(path string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stored[path]
}

func (h *host) good(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", etag(h.bytes(r.URL.Path)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.bytes(r.URL.Path)))
}

func etag(data []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(data)) }

// half sends half of an archive and then hangs, or cuts the connection.
func (h *host) half(hang bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data := h.bytes(r.URL.Path)
		w.Header().Set("ETag", etag(data))
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		w.(http.Flusher).Flush()
		if hang {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
}

func (h *host) serving(serve http.HandlerFunc) {
	if serve == nil {
		h.serve.Store(nil)
		return
	}
	h.serve.Store(&serve)
}

// order stores an archive of some size that only its seed knows.
func (h *host) order(seed byte, size int) fleet.ReleaseOrder {
	h.t.Helper()
	from, content := h.t.TempDir(), make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content)
	must(h.t, os.WriteFile(filepath.Join(from, "content"), content, 0o644))
	var plain, sealed bytes.Buffer
	packed, err := archive.Pack(h.t.Context(), &plain, from, nil)
	must(h.t, err)
	w, err := archive.Seal(&sealed, h.identity)
	must(h.t, err)
	_, err = w.Write(plain.Bytes())
	must(h.t, errors.Join(err, w.Close()))
	path := "/" + string(packed.Digest)
	h.mu.Lock()
	h.stored[path] = sealed.Bytes()
	h.mu.Unlock()
	return fleet.ReleaseOrder{
		App: "shop", Root: h.dir, URL: h.url + path + "?signature=secret", Identity: h.identity,
		Revision: fleet.Revision{Digest: packed.Digest, Size: packed.Size, Stored: int64(sealed.Len()), Room: packed.Room, Files: packed.Files},
	}
}

// unpack fetches into a new directory and looks at what came.
func (h *host) unpack(order fleet.ReleaseOrder) (note string, err error) {
	h.t.Helper()
	to := h.t.TempDir()
	note, err = h.Unpack(h.t.Context(), order, to)
	if err == nil {
		if _, err := os.Stat(filepath.Join(to, "content")); err != nil {
			h.t.Error(err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		h.t.Errorf("a secret is told: %v", err)
	}
	return note, err
}

func (h *host) mustUnpack(order fleet.ReleaseOrder, requests int) string {
	h.t.Helper()
	h.requests()
	note, err := h.unpack(order)
	must(h.t, err)
	if got := h.requests(); len(got) != requests {
		h.t.Errorf("requests for %q, want %d", got, requests)
	}
	return note
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasFetchedOnceIsNotFetchedAgain(t *testing.T) {
	h := newHost(t)
	one, two := h.order(1, 1000), h.order(2, 1000)
	h.mustUnpack(one, 1)
	h.mustUnpack(two, 1)
	h.boot(Config{}) // another life
	if note := h.mustUnpack(one, 0); !strings.Contains(note, "cache") {
		t.Errorf("note %q", note)
	}
	other := one
	other.App = "another" // has another key
	h.mustUnpack(other, 1)
	one.Force = true
	h.mustUnpack(one, 1)
	one.Force = false
	wrong := one
	wrong.Identity, _ = archive.NewIdentity()
	if _, err := h.unpack(wrong); err == nil {
		t.Error("unpacked without the key")
	}
	h.mustUnpack(one, 0)
}

func TestWhatWentBadInTheCacheIsFetchedAnew(t *testing.T) {
	h := newHost(t)
	order := h.order(1, 100_000)
	name := filepath.Join(h.dir, "cache", "shop-"+string(order.Revision.Digest)+wholeEnd)
	for what, spoil := range map[string]func([]byte) []byte{
		"altered": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"nothing": func([]byte) []byte { return nil },
		"longer":  func(b []byte) []byte { return append(b, 'x') },
	} {
		order.Force = true
		h.mustUnpack(order, 1)
		order.Force = false
		b, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(name, spoil(b), 0o600))
		if note := h.mustUnpack(order, 1); note != "" {
			t.Errorf("%s: note %q", what, note)
		}
		h.mustUnpack(order, 0)
	}
}

func TestJobsThatWantTheSameArchiveDownloadItOnce(t *testing.T) {
	h := newHost(t)
	order := h.order(1, 300_000)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if _, err := h.Unpack(t.Context(), order, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := h.requests(); len(got) != 1 {
		t.Errorf("requests for %q", got)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	h := newHost(t)
	h.boot(Config{Archives: 2, Bytes: 500_000})
	for seed := range byte(4) {
		h.mustUnpack(h.order(seed, 1000), 1)
		time.Sleep(2 * time.Millisecond) // so that times differ
	}
	names := func() []string {
		found, err := filepath.Glob(filepath.Join(h.dir, "cache", "*"))
		must(t, err)
		return found
	}
	if got := names(); len(got) != 2 {
		t.Errorf("by count: %v", got)
	}
	h.mustUnpack(h.order(3, 1000), 0)
	h.mustUnpack(h.order(5, 300_000), 1)
	h.mustUnpack(h.order(6, 300_000), 1)
	if got := names(); len(got) != 2 { // one of the small ones still fits
		t.Errorf("by size: %v", got)
	}
	large := h.order(7, 600_000)
	h.mustUnpack(large, 1)
	h.mustUnpack(large, 1)
	if got := names(); len(got) != 2 {
		t.Errorf("with one that is too large: %v", got)
	}
}

func TestADownloadGoesOnWhereAnEarlierOneWas(t *testing.T) {
	for what, c := range map[string]struct {
		then     func(h *host, order *fleet.ReleaseOrder)
		requests int
		note     string
	}{
		"with ranges": {func(*host, *fleet.ReleaseOrder) {}, 1, "went on at byte"},
		"without ranges": {func(h *host, _ *fleet.ReleaseOrder) {
			h.serving(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Range")
				h.good(w, r)
			})
		}, 1, "went on at byte"},
		"stored anew": {func(h *host, order *fleet.ReleaseOrder) {
			h.mu.Lock()
			defer h.mu.Unlock()
			path := "/" + string(order.Revision.Digest)
			h.stored[path] = reseal(h.t, order, h.identity)
		}, 2, ""},
		"all but the end was there": {func(h *host, order *fleet.ReleaseOrder) {
			must(h.t, os.WriteFile(filepath.Join(h.dir, "cache", "shop-"+string(order.Revision.Digest)+partEnd), h.bytes("/"+string(order.Revision.Digest)), 0o600))
		}, 1, "went on at byte"},
		"spoilt since": {func(h *host, order *fleet.ReleaseOrder) {
			name := filepath.Join(h.dir, "cache", "shop-"+string(order.Revision.Digest)+partEnd)
			info, err := os.Stat(name)
			must(h.t, err)
			must(h.t, os.WriteFile(name, make([]byte, info.Size()), 0o600))
		}, 2, ""},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHost(t)
			order := h.order(1, 300_000)
			h.serving(h.half(true))
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			to := t.TempDir()
			go func() {
				_, err := h.Unpack(ctx, order, to)
				ended <- err
			}()
			h.waitForPart(order, 100_000)
			stop()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			h.boot(Config{})
			h.serving(nil)
			c.then(h, &order)
			if note := h.mustUnpack(order, c.requests); !strings.HasPrefix(note, c.note) || c.note == "" && note != "" {
				t.Errorf("note %q", note)
			}
			h.mustUnpack(order, 0)
		})
	}
}

// reseal encrypts an archive once more, which gives other bytes.
func reseal(t *testing.T, order *fleet.ReleaseOrder, identity string) []byte {
	t.Helper()
	h := newHost(t)
	h.identity = identity
	again := h.order(1, 300_000)
	if again.Revision.Digest != order.Revision.Digest {
		t.Fatal("packed to another archive")
	}
	return h.bytes("/" + string(again.Revision.Digest))
}

func (h *host) waitForPart(order fleet.ReleaseOrder, size int64) {
	h.t.Helper()
	name := filepath.Join(h.dir, "cache", "shop-"+string(order.Revision.Digest)+partEnd)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(name); err == nil && info.Size() >= size {
			return
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) || time.Now().After(until) {
			h.t.Fatalf("no part of the archive: %v", err)
		}
	}
}

// doomed is what a process that will be killed has to do.
type doomed struct {
	Dir   string
	Order fleet.ReleaseOrder
}

func fetchUntilKilled(text string) {
	var d doomed
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		panic(err)
	}
	f, err := New(Config{Dir: filepath.Join(d.Dir, "cache")})
	if err != nil {
		panic(err)
	}
	to, err := os.MkdirTemp(d.Dir, "tree")
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Unpack(context.Background(), d.Order, to))
}

func TestADownloadSurvivesKill9(t *testing.T) {
	h := newHost(t)
	order := h.order(1, 300_000)
	h.serving(h.half(true))
	self, err := os.Executable()
	must(t, err)
	text, err := json.Marshal(doomed{h.dir, order})
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "BRINE_TEST_FETCH="+string(text))
	must(t, cmd.Start())
	h.waitForPart(order, 100_000)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	h.serving(nil)
	if note := h.mustUnpack(order, 1); !strings.HasPrefix(note, "went on at byte") {
		t.Errorf("note %q", note)
	}
}

func TestAStalledConnectionCountsAsCut(t *testing.T) {
	h := newHost(t)
	h.boot(Config{Stall: 50 * time.Millisecond})
	order := h.order(1, 300_000)
	half := h.half(true)
	h.serving(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			half(w, r)
		}
		h.good(w, r)
	})
	h.mustUnpack(order, 2)
}

func TestAURLWithoutAHostMeansTheMaster(t *testing.T) {
	h := newHost(t)
	for in, want := range map[string]string{
		"http://:4511/blob/x?e=1:2": "http://127.0.0.1:4511/blob/x?e=1:2",
		"http:///blob/x:y":          "http://127.0.0.1:80/blob/x:y",
		"https://s3:9/x":            "https://s3:9/x",
	} {
		d, err := h.start("x", fleet.ReleaseOrder{URL: in})
		must(t, err)
		d.close()
		if d.url.String() != want {
			t.Errorf("%s became %s, want %s", in, d.url, want)
		}
	}
}

func TestWhatDoesNotFitIsToldBeforeItIsFetched(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m,nr_inodes=50"); err != nil {
		t.Skipf("needs the right to mount a small tmpfs (root): %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(small, 0)) })
	h := newHost(t)
	order := func(room, stored int64, files int) fleet.ReleaseOrder {
		return fleet.ReleaseOrder{
			App: "shop", Root: filepath.Join(small, "srv/shop"),
			Revision: fleet.Revision{Digest: fleet.Digest(strings.Repeat("a", 64)), Room: room, Stored: stored, Size: 1000, Files: files},
		}
	}
	must(t, h.CheckRoom(order(500_000, 1<<20, 20)))
	wantError(t, h.CheckRoom(order(600_000, 0, 20)), "not enough disk space on the file system of "+small+": 1.0 MiB are free, 1.1 MiB are needed",
		"the release 585.9 KiB, one to spare 585.9 KiB", "lower keep")
	wantError(t, h.CheckRoom(order(1000, 0, 30)), "not enough inodes", "60 inodes are needed (the release 30, one to spare 30)")

	h.dir = small // the cache is there too now
	h.boot(Config{})
	wantError(t, h.CheckRoom(order(500_000, 200_000, 20)), "the archive 195.3 KiB")
	old := h.order(1, 400_000)
	old.Root = small
	h.t = t
	h.mustUnpack(old, 1)
	must(t, h.CheckRoom(order(400_000, 0, 20))) // the cache gave way
	h.mustUnpack(old, 1)
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want %q in it", err, part)
		}
	}
}
