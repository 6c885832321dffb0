package runner

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == process.SuperviseCommand {
		os.Exit(process.Supervise(os.Args[2]))
	}
	if text := os.Getenv("BRINE_TEST_DOOMED"); text != "" {
		liveDoomed(text)
		return
	}
	goleak.VerifyTestMain(m)
}

// host is a host with a minion's runner, an application root and a store that holds archives.
type host struct {
	*Runner
	t        *testing.T
	state    string
	root     string
	trace    string // one line for each script that ran: "Event version"
	layout   string
	identity string
	mu       sync.Mutex
	archives map[string][]byte // by path; guarded by mu
	serve    http.HandlerFunc  // nil: as a good server does
	url      string
	fetched  atomic.Int64 // requests
	jobs     int
	events   []fleet.EventResult
	program  string // of the supervisor
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := scratch(t)
	identity, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{
		t: t, state: filepath.Join(dir, "state"), root: filepath.Join(dir, "srv/shop"), trace: filepath.Join(dir, "trace"),
		identity: identity, archives: map[string][]byte{},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.fetched.Add(1)
		if h.serve != nil {
			h.serve(w, r)
			return
		}
		h.good(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	h.boot()
	return h
}

// scratch is in memory where that can be had: these tests sync a lot.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "runner")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (h *host) config() Config {
	return Config{
		StateDir: h.state, Minion: "web1", MasterHost: "127.0.0.1", Version: "test", Grace: 300 * time.Millisecond, Retry: time.Millisecond,
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Log: slog.New(slog.DiscardHandler),
		Supervisor: process.Supervisor{Program: h.program},
	}
}

// boot starts the minion's runner (again).
func (h *host) boot() {
	h.t.Helper()
	r, err := New(h.config())
	if err != nil {
		h.t.Fatal(err)
	}
	h.Runner = r
}

// good serves an archive as a store does, with ranges.
func (h *host) good(w http.ResponseWriter, r *http.Request) {
	data := h.stored(r.URL.Path)
	if data == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"one"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (h *host) stored(name string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.archives[name]
}

func (h *host) put(name string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.archives[name] = data
}

// tree is the content of an archive. A script (#!) is executable; a name with a slash at its end is a directory.
type tree map[string]string

// app is an application of one version that writes down what its scripts do. extra adds to it or replaces.
func app(version string, extra tree) tree {
	out := tree{"version": version, "bin/tool": "#!/bin/sh\n", "appspec.yml": "version: 0.0\nos: linux\n"}
	for _, event := range []fleet.LifecycleEvent{
		fleet.BeforeBlockTraffic, fleet.ApplicationStop, fleet.BeforeInstall, fleet.AfterInstall, fleet.ApplicationStart,
		fleet.ValidateService, fleet.AfterAllowTraffic,
	} {
		action := ""
		switch event {
		case fleet.ApplicationStop:
			action = `rm -f "$BRINE_ROOT/running"` + "\n"
		case fleet.ApplicationStart:
			action = `cp version "$BRINE_ROOT/running"` + "\n"
		}
		out["hooks/production/"+string(event)+".sh"] = traced + action
	}
	for name, content := range extra {
		if content == "" {
			delete(out, name)
			continue
		}
		out[name] = content
	}
	return out
}

const (
	traced = "#!/bin/sh\n" + `echo "$BRINE_EVENT $(cat version)" >>"$TRACE"` + "\n"
	fails  = traced + "echo this went wrong; exit 3\n"
)

func hook(event fleet.LifecycleEvent) string { return "hooks/production/" + string(event) + ".sh" }

// order packs a tree, puts it into the store and orders it.
func (h *host) order(files tree) fleet.ReleaseOrder {
	h.t.Helper()
	dir := h.t.TempDir()
	for name, content := range files {
		if h.layout == "appspec" && name == "appspec.yml" {
			content += "files:\n  - {source: /, destination: " + h.root + "/app}\n"
		}
		file := filepath.Join(dir, name)
		must(h.t, os.MkdirAll(filepath.Dir(file), 0o755))
		if strings.HasSuffix(name, "/") {
			must(h.t, os.MkdirAll(file, 0o755))
			continue
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		must(h.t, os.WriteFile(file, []byte(content), mode))
	}
	var plain bytes.Buffer
	packed, err := archive.Pack(h.t.Context(), &plain, dir, nil)
	must(h.t, err)
	return h.orderOf(plain.Bytes(), packed.Digest, files["version"])
}

func (h *host) orderOf(plain []byte, digest fleet.Digest, ref string) fleet.ReleaseOrder {
	h.t.Helper()
	var sealed bytes.Buffer
	w, err := archive.Seal(&sealed, h.identity)
	must(h.t, err)
	_, err = w.Write(plain)
	must(h.t, err)
	must(h.t, w.Close())
	h.put("/"+string(digest), sealed.Bytes())
	return fleet.ReleaseOrder{
		Deployment: "d1", App: "shop", Group: "production", Root: h.root, Identity: h.identity,
		URL:      h.url + "/" + string(digest) + "?signature=secret",
		Layout:   h.layout,
		Revision: fleet.Revision{Digest: digest, Size: int64(len(plain)), Origin: fleet.Origin{Ref: ref, Commit: "c0ffee"}},
		Env:      map[string]string{"TRACE": h.trace},
	}
}

func (h *host) nextJob() fleet.JobID {
	h.jobs++
	return fleet.JobID(fmt.Sprintf("job%d", h.jobs))
}

// release runs one job and keeps what it reported.
func (h *host) release(order fleet.ReleaseOrder) (fleet.ReleaseResult, error) {
	h.events = nil
	return h.Release(h.t.Context(), h.nextJob(), order, func(e fleet.EventResult) { h.events = append(h.events, e) })
}

func (h *host) mustRelease(order fleet.ReleaseOrder) fleet.ReleaseResult {
	h.t.Helper()
	res, err := h.release(order)
	if err != nil || !res.Serving || res.Live != order.Revision.Digest {
		h.t.Fatalf("release: %v, %+v", err, res)
	}
	return res
}

// traces returns what the scripts did since the last call.
func (h *host) traces() []string {
	data, _ := os.ReadFile(h.trace)
	_ = os.Remove(h.trace)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// read returns a file below the root, or "".
func (h *host) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(h.root, name))
	return string(data)
}

// live names a file of the live release below the root.
func (h *host) live(name string) string {
	switch h.layout {
	case "copy":
		return name
	case "appspec":
		return "app/" + name
	}
	return "current/" + name
}

// names lists a directory below the root.
func (h *host) names(dir string) []string {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.root, dir))
	must(h.t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// wantLive checks what every test promises: current is one whole release of that version, the application runs that
// version, and nothing is left over.
func (h *host) wantLive(files tree) {
	h.t.Helper()
	for name, content := range files {
		if got := h.read(h.live(name)); got != content && !strings.HasSuffix(name, "/") && (h.layout != "appspec" || name != "appspec.yml") {
			h.t.Errorf("%s is %q, want %q", h.live(name), got, content)
		}
	}
	if running := h.read("running"); running != files["version"] {
		h.t.Errorf("running is %q, want %q", running, files["version"])
	}
	h.wantOnly(files)
	h.wantTidy()
}

// wantOnly checks that a root of layout copy or appspec has these files and no others, but for foreign ones.
func (h *host) wantOnly(files tree, foreign ...string) {
	h.t.Helper()
	if h.layout != "copy" && h.layout != "appspec" {
		return
	}
	err := fs.WalkDir(os.DirFS(h.root), ".", func(name string, e fs.DirEntry, err error) error {
		if name == ".brine" {
			return fs.SkipDir
		}
		if h.layout == "appspec" {
			name = strings.TrimPrefix(name, "app/")
		}
		if _, known := files[name]; !known && !e.IsDir() && name != "running" && !slices.Contains(foreign, name) {
			h.t.Errorf("%s is there", name)
		}
		return err
	})
	must(h.t, err)
}

func (h *host) wantTidy() {
	h.t.Helper()
	staging, trees := ".staging", "releases"
	if h.layout == "copy" || h.layout == "appspec" {
		staging, trees = ".brine/staging", ".brine/trees"
		if _, err := os.Lstat(filepath.Join(h.root, undoDir)); err == nil {
			h.t.Error("undo is still there")
		}
	}
	if left := h.names(staging); len(left) > 0 {
		h.t.Errorf("left in staging: %v", left)
	}
	var recorded []string
	for _, name := range h.names(".brine/releases") {
		recorded = append(recorded, strings.TrimSuffix(name, ".json"))
	}
	if releases := h.names(trees); !slices.Equal(releases, recorded) {
		h.t.Errorf("releases %v, but records %v", releases, recorded)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want %q in it", err, part)
		}
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n") || strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("error is not one line, or tells a secret: %v", err)
	}
}

// doom is what a process that will be killed has to do.
type doom struct {
	State, KillAt string
	Program       string
	Count         int // the how manyeth time
	Job           fleet.JobID
	Order         fleet.ReleaseOrder
}

func (d doom) env() string {
	text, _ := json.Marshal(d)
	return "BRINE_TEST_DOOMED=" + string(text)
}

// liveDoomed is the life of such a process.
func liveDoomed(text string) {
	var d doom
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		panic(err)
	}
	r, err := New(Config{StateDir: d.State, Minion: "web1", Grace: time.Second, Supervisor: process.Supervisor{Program: d.Program}})
	if err != nil {
		panic(err)
	}
	r.reached = func(step string) {
		if step == d.KillAt {
			if d.Count--; d.Count == 0 {
				p, _ := os.FindProcess(os.Getpid())
				_ = p.Kill()
				select {}
			}
		}
	}
	_, err = r.Release(context.Background(), d.Job, d.Order, func(fleet.EventResult) {})
	fmt.Println(cmp.Or(err, fmt.Errorf("the job ended")))
}
