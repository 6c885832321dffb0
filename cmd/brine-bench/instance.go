package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/brine-deploy/brine/minion/fetch"
	"github.com/brine-deploy/brine/minion/runner"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// instance measures what happens on one host, in memory: fetching and unpacking, going back, hooks.
func instance(ctx context.Context, b *bench) error {
	b.kill()
	h, err := newOneHost(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	for _, measure := range []func(context.Context, *bench) error{h.fetching, h.goingBack, h.localHooks} {
		if err := measure(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// oneHost is a host in memory, with a server of archives beside it.
type oneHost struct {
	dir      string
	identity string
	url      string
	stop     func() error
}

func newOneHost(ctx context.Context) (*oneHost, error) {
	dir, err := inMemory()
	if err != nil {
		return nil, err
	}
	h := &oneHost{dir: dir, stop: func() error { return nil }}
	if h.identity, err = archive.NewIdentity(); err == nil {
		err = h.serve(ctx)
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// inMemory makes a directory on a tmpfs.
func inMemory() (string, error) {
	dir, err := os.MkdirTemp("/dev/shm", "brine-bench")
	if err != nil {
		return "", fmt.Errorf("make directory in memory: %w", err)
	}
	return dir, nil
}

func (h *oneHost) close() {
	if err := errors.Join(h.stop(), os.RemoveAll(h.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "brine-bench:", err)
	}
}

func (h *oneHost) path(name string) string { return filepath.Join(h.dir, name) }

func (h *oneHost) serve(ctx context.Context) error {
	if err := os.Mkdir(h.path("store"), 0o755); err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve archives: %w", err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(h.path("store"))), ReadHeaderTimeout: time.Minute}
	go server.Serve(l) //nolint:errcheck // until it is closed
	h.url, h.stop = "http://"+l.Addr().String(), server.Close
	return nil
}

// revision packs a tree of files as name.tar.zst, and sealed as name.age, and orders it.
func (h *oneHost) revision(ctx context.Context, name string, files, size int) (order fleet.ReleaseOrder, err error) {
	tree := h.path("tree")
	defer func() { err = errors.Join(err, os.RemoveAll(tree)) }()
	if err := grow(tree, name, files, size); err != nil {
		return order, err
	}
	plain, err := os.Create(h.path("store/" + name + ".tar.zst"))
	if err != nil {
		return order, fmt.Errorf("make archive: %w", err)
	}
	defer plain.Close()
	packed, err := archive.Pack(ctx, plain, tree, nil)
	if err != nil {
		return order, err
	}
	sealed, err := os.Create(h.path("store/" + name + ".age"))
	if err != nil {
		return order, fmt.Errorf("make archive: %w", err)
	}
	defer sealed.Close()
	w, err := archive.Seal(sealed, h.identity)
	if err != nil {
		return order, err
	}
	_, seekErr := plain.Seek(0, io.SeekStart)
	_, copyErr := io.Copy(w, plain)
	if err := errors.Join(seekErr, copyErr, w.Close()); err != nil {
		return order, fmt.Errorf("seal archive: %w", err)
	}
	return fleet.ReleaseOrder{
		App: "bench", Group: "bench", Deployment: "bench", Root: h.path("root"), URL: h.url + "/" + name + ".age", Identity: h.identity,
		Revision: fleet.Revision{App: "bench", Digest: packed.Digest, Size: packed.Size, Room: packed.Room, Files: packed.Files + packed.Dirs},
	}, nil
}

// perDirectory is how many files of a tree lie in one directory.
const perDirectory = 50

// grow makes files of text: it compresses to about a third, as programs do.
func grow(tree, seed string, files, size int) error {
	var key [32]byte
	copy(key[:], seed)
	random := rand.New(rand.NewChaCha8(key))
	words := make([]string, 4000)
	for i := range words {
		words[i] = strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(2)) + fmt.Sprintf("%x", random.IntN(1<<(4+random.IntN(16))))
	}
	for i := range files {
		dir := filepath.Join(tree, fmt.Sprintf("lib/part%03d/src", i/perDirectory))
		if i%perDirectory == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make tree: %w", err)
			}
		}
		var text bytes.Buffer
		for text.Len() < size {
			text.WriteString(words[random.IntN(len(words))])
			text.WriteString([]string{" ", " ", " ", "(", ") {\n\t", ";\n"}[random.IntN(6)])
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%05d.js", i)), text.Bytes()[:size], 0o644); err != nil {
			return fmt.Errorf("make tree: %w", err)
		}
	}
	return nil
}

// fetching holds the way of an archive from its URL to its tree against that of curl and tar, each with its processes.
func (h *oneHost) fetching(ctx context.Context, b *bench) error {
	order, err := h.revision(ctx, "many", 5000, 10<<10)
	if err != nil {
		return err
	}
	var ours, theirs []float64
	for range b.reps + 1 {
		d, err := h.timed(func(to string) error {
			_, err := h.child(ctx, task{Cache: h.path("cache"), Orders: []fleet.ReleaseOrder{order}, To: to})
			return err
		})
		if err != nil {
			return err
		}
		ours = append(ours, d)
		d, err = h.timed(func(to string) error {
			cmd := exec.CommandContext(ctx, "bash", "-c", `set -o pipefail; curl -sSf "$0" | tar --zstd -x -C "$1"`, h.url+"/many.tar.zst", to)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("curl and tar: %w: %s", err, out)
			}
			return nil
		})
		if err != nil {
			return err
		}
		theirs = append(theirs, d)
	}
	b.report.against("fetch, decrypt, verify and unpack 5000 x 10 KiB", median(ours[1:]), "ms", "curl | tar --zstd -x, unencrypted", median(theirs[1:]), "<= 1.2")
	return nil
}

// timed gives the milliseconds that do takes with an empty directory.
func (h *oneHost) timed(do func(to string) error) (float64, error) {
	to := h.path("to")
	if err := os.Mkdir(to, 0o755); err != nil {
		return 0, fmt.Errorf("make directory: %w", err)
	}
	begun := time.Now()
	err := do(to)
	took := ms(time.Since(begun))
	return took, errors.Join(err, os.RemoveAll(to), os.RemoveAll(h.path("cache")))
}

// goingBack holds the way back to a kept release against its first deployment.
func (h *oneHost) goingBack(ctx context.Context, b *bench) error {
	one, err := h.revision(ctx, "one", 10_000, 4<<10)
	if err != nil {
		return err
	}
	two, err := h.revision(ctx, "two", 10, 4<<10)
	if err != nil {
		return err
	}
	var first, back []float64
	for range b.reps {
		took, err := h.child(ctx, task{State: h.path("state"), Orders: []fleet.ReleaseOrder{one, two, one}})
		if err != nil {
			return err
		}
		first, back = append(first, took[0]), append(back, took[2])
		if err := errors.Join(os.RemoveAll(h.path("state")), os.RemoveAll(one.Root)); err != nil {
			return fmt.Errorf("remove releases: %w", err)
		}
	}
	b.report.against("rollback to a kept release of 10000 files", median(back), "ms", "its first deployment", median(first), "<= 0.1")
	return nil
}

// task is what a child does: unpack into To, or make the orders' releases live, one after the other.
type task struct {
	Cache  string
	To     string
	State  string
	Orders []fleet.ReleaseOrder
}

// child does a task in a process of its own, which has a minion's settings, and gives the milliseconds of each order.
func (h *oneHost) child(ctx context.Context, t task) (took []float64, err error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode task: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "host")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("a minion's part: %w", err)
	}
	return took, json.Unmarshal(out, &took)
}

// host is such a child.
func host(ctx context.Context) error {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		return fmt.Errorf("decode task: %w", err)
	}
	var do func(int, fleet.ReleaseOrder) error
	if t.To != "" {
		f, err := fetch.New(fetch.Config{Dir: t.Cache})
		if err != nil {
			return err
		}
		do = func(_ int, o fleet.ReleaseOrder) error {
			_, err := f.Unpack(ctx, o, t.To)
			return err
		}
	} else {
		r, err := runner.New(runner.Config{StateDir: t.State, Minion: "bench"})
		if err != nil {
			return err
		}
		do = func(i int, o fleet.ReleaseOrder) error {
			_, err := r.Release(ctx, fleet.JobID(fmt.Sprintf("job%d", i)), o, func(fleet.EventResult) {})
			return err
		}
	}
	var took []float64
	for i, o := range t.Orders {
		begun := time.Now()
		if err := do(i, o); err != nil {
			return err
		}
		took = append(took, ms(time.Since(begun)))
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}
