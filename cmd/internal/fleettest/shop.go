package fleettest

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

//go:embed shop
var shopFiles embed.FS

// ShopConfig says what kind of shop a test needs.
type ShopConfig struct {
	Bin      string            // directory of the binaries, see Build
	Minions  int               // web1, web2, ...
	Strategy string            // YAML; "{batch: 1}" when empty
	HAProxy  bool              // the minions serve behind a real one
	Master   string            // added to master.yml
	Env      []string          // see Fleet
	Netns    map[string]string // see Fleet
}

// Shop is a fleet with one application: a git repository, its file in apps.d, and minions that serve it. What goes wrong
// in it ends the test; the logs are shown then. Its hooks wait at gates, see Gate.
type Shop struct {
	*Fleet
	T       testing.TB
	Minions []string
	Ports   map[string]string // that each minion's service listens on
	Front   *HAProxy          // nil when there is none
}

// recordsFile is what the master's file returner appends to.
func (s *Shop) recordsFile() string { return filepath.Join(s.Dir, "records.jsonl") }

// StartShop starts the fleet. It is gone when the test ends.
func StartShop(t testing.TB, cfg ShopConfig) *Shop {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-") // a short path: see New
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) //nolint:errcheck // a leftover in the temporary directory
	f, err := New(dir, cfg.Bin)
	if err != nil {
		t.Fatal(err)
	}
	f.Env, f.Netns = cfg.Env, cfg.Netns
	s := &Shop{Fleet: f, T: t, Ports: map[string]string{}}
	t.Cleanup(s.close)
	for i := range cfg.Minions {
		s.reserve(fmt.Sprintf("web%d", i+1))
	}
	balancer, master := "{}", cfg.Master+"\nreturners: {log: {type: file, path: "+s.recordsFile()+"}}\n"
	if cfg.HAProxy {
		s.Front = StartHAProxy(t, s.Minions, s.Ports)
		master += "balancers: {edge: {type: haproxy, socket: " + s.Front.Socket + "}}\n"
		balancer = `{use: edge, pool: shop, address: "127.0.0.1:{tags.port}", drain_timeout: 20s, healthy_timeout: 20s}`
	}
	s.writeApplication(map[string]string{"DIR": dir, "BIN": cfg.Bin, "STRATEGY": cmp.Or(cfg.Strategy, "{batch: 1}"), "BALANCER": balancer})
	s.must(f.StartMaster(t.Context(), master))
	for _, id := range s.Minions {
		s.StartMinion(id)
	}
	return s
}

func (s *Shop) writeApplication(vars map[string]string) {
	for _, dir := range []string{"apps.d", "gates", "repo"} {
		s.must(os.MkdirAll(filepath.Join(s.Dir, dir), 0o755))
	}
	text, err := shopFiles.ReadFile("shop/shop.yml")
	s.must(err)
	app := os.Expand(string(text), func(name string) string { return vars[name] })
	app = strings.ReplaceAll(app, "    balancer: {}\n", "")
	s.must(os.WriteFile(filepath.Join(s.Dir, "apps.d", "shop.yml"), []byte(app), 0o600))
	hooks, err := fs.Sub(shopFiles, "shop")
	s.must(err)
	s.must(os.CopyFS(filepath.Join(s.Dir, "repo"), hooks))
}

func (s *Shop) reserve(id string) {
	s.T.Helper()
	ports, err := FreePorts(1)
	s.must(err)
	s.Minions, s.Ports[id] = append(s.Minions, id), ports[0]
}

// AddMinion starts one more minion.
func (s *Shop) AddMinion(id string) {
	s.T.Helper()
	s.reserve(id)
	s.StartMinion(id)
}

// StartMinion starts one of the shop's minions, or starts it again.
func (s *Shop) StartMinion(id string) {
	s.T.Helper()
	shared := filepath.Join(s.Dir, id, "shop", "shared")
	s.must(os.MkdirAll(shared, 0o755))
	s.must(os.WriteFile(filepath.Join(shared, "port"), []byte(s.Ports[id]+"\n"), 0o600))
	s.must(s.Fleet.StartMinion(s.T.Context(), id, map[string]string{"role": "web", "port": s.Ports[id]}))
}

// Kill kills a daemon, see Fleet.Kill.
func (s *Shop) Kill(name string) {
	s.T.Helper()
	s.must(s.Fleet.Kill(name))
}

// RestartMaster starts the master again, see Fleet.RestartMaster.
func (s *Shop) RestartMaster() {
	s.T.Helper()
	s.must(s.Fleet.RestartMaster(s.T.Context()))
}

// dataFiles of each revision name it, so that a mixture of two shows.
const dataFiles = 20

// Commit makes a revision that serves its own tag.
func (s *Shop) Commit(tag string) {
	s.T.Helper()
	repo := filepath.Join(s.Dir, "repo")
	s.must(os.MkdirAll(filepath.Join(repo, "data"), 0o755))
	for _, name := range wholeRelease() {
		s.must(os.WriteFile(filepath.Join(repo, name), []byte(tag+"\n"), 0o600))
	}
	for _, argv := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--allow-empty", "-m", "Release " + tag},
		{"tag", tag},
	} {
		cmd := exec.CommandContext(s.T.Context(), "git", argv...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			s.T.Fatalf("git %v: %v\n%s", argv, err, out)
		}
	}
}

func wholeRelease() []string {
	names := []string{"version"}
	for i := range dataFiles {
		names = append(names, fmt.Sprintf("data/%02d", i))
	}
	return names
}

// Live is the tag of the release that is live on a minion. A release that is not whole ends the test.
func (s *Shop) Live(id string) string {
	s.T.Helper()
	seen := map[string]bool{}
	var last string
	for _, name := range wholeRelease() {
		text, err := os.ReadFile(filepath.Join(s.Dir, id, "shop", "current", name))
		s.must(err)
		last = strings.TrimSpace(string(text))
		seen[last] = true
	}
	if len(seen) != 1 {
		s.T.Fatalf("the release that is live on %s is a mixture: %v", id, seen)
	}
	return last
}

// Serves is what a minion's service answers, without the balancer; an error's text when it does not.
func (s *Shop) Serves(id string) string {
	text, err := Get(s.T.Context(), freshConnections, "http://127.0.0.1:"+s.Ports[id]+"/")
	if err != nil {
		return err.Error()
	}
	return text
}

// Gate stops the next hook of one event on one minion, "web1-ApplicationStart", or the next build, "build", until it is
// opened.
type Gate struct{ path string }

// Gate closes a gate.
func (s *Shop) Gate(name string) Gate {
	s.T.Helper()
	g := Gate{filepath.Join(s.Dir, "gates", name)}
	s.must(os.WriteFile(g.path, nil, 0o600))
	return g
}

// Open lets the hook go on.
func (g Gate) Open() {
	_ = os.Remove(g.path) // nobody came, perhaps
	_ = os.Remove(g.path + ".reached")
}

// Reached reports whether a hook is waiting.
func (g Gate) Reached() bool {
	_, err := os.Stat(g.path + ".reached")
	return err == nil
}

// Await waits for a condition.
func (s *Shop) Await(what string, done func() bool) {
	s.T.Helper()
	s.must(s.Until(s.T.Context(), what, done))
}

// Must runs the CLI, which has to end with the exit code.
func (s *Shop) Must(code int, args ...string) Result {
	s.T.Helper()
	r := s.Brine(s.T.Context(), args...)
	r.expect(s.T, code, args)
	return r
}

func (r Result) expect(t testing.TB, code int, args []string) {
	t.Helper()
	if r.Code != code {
		t.Fatalf("brine %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}
}

// Running is the CLI at work.
type Running struct {
	s    *Shop
	args []string
	errs *progress
	end  chan Result
}

// Start starts the CLI.
func (s *Shop) Start(args ...string) *Running {
	r := &Running{s: s, args: args, errs: new(progress), end: make(chan Result, 1)}
	go func() { r.end <- s.brine(s.T.Context(), new(progress), r.errs, args...) }()
	return r
}

// StartDeploy starts brine deploy and waits until it has begun.
func (s *Shop) StartDeploy(ref string) *Running {
	s.T.Helper()
	r := s.Start("deploy", "shop", "production", "--ref", ref, "--yes")
	s.Await("the deployment begins", func() bool { return strings.Contains(r.errs.String(), " of shop to production") })
	return r
}

// progress is what a command has printed so far.
type progress struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// Says reports whether the command has told something on stderr.
func (r *Running) Says(text string) bool { return strings.Contains(r.errs.String(), text) }

// Must waits for the end, which has to have the exit code.
func (r *Running) Must(code int) Result {
	r.s.T.Helper()
	result := <-r.end
	result.expect(r.s.T, code, r.args)
	return result
}

// Newest is the group's newest deployment that no newcomer asked for, with its minions; the zero value when there is none
// or the master does not answer.
func (s *Shop) Newest() (d fleet.Deployment) {
	var list []fleet.Deployment
	_ = s.API(s.T.Context(), "/v1/deployments?limit=20", &list) // the caller waits
	i := slices.IndexFunc(list, func(d fleet.Deployment) bool { return d.Kind != fleet.KindNewcomer })
	if i < 0 || s.API(s.T.Context(), "/v1/deployments/"+string(list[i].ID), &d) != nil { // a list does not have the minions
		return fleet.Deployment{}
	}
	return d
}

// Quiet reports whether every deployment has ended, newcomers' too.
func (s *Shop) Quiet() bool {
	var list []fleet.Deployment
	err := s.API(s.T.Context(), "/v1/deployments?limit=20", &list)
	return err == nil && !slices.ContainsFunc(list, func(d fleet.Deployment) bool { return !d.Status.Ended() })
}

// Phase is where a minion is in the newest deployment.
func (s *Shop) Phase(id string) fleet.Phase {
	for _, m := range s.Newest().Minions {
		if string(m.Minion) == id {
			return m.Phase
		}
	}
	return ""
}

// Pool is where each minion stands in the balancer, as brine status tells.
func (s *Shop) Pool() map[string]string {
	s.T.Helper()
	var status fleet.Status
	s.must(s.BrineJSON(s.T.Context(), &status, "status"))
	pool := map[string]string{}
	for _, m := range status.Groups[0].Minions {
		pool[string(m.Minion)] = m.Pool
	}
	return pool
}

// LogSays reports whether a daemon's log has the text by now.
func (s *Shop) LogSays(name, text string) bool {
	log, err := os.ReadFile(filepath.Join(s.Dir, name+".log"))
	return err == nil && strings.Contains(string(log), text)
}

// Records is what the file returner has written, each record once, by number.
func (s *Shop) Records() map[uint64]fleet.Record {
	s.T.Helper()
	text, err := os.ReadFile(s.recordsFile())
	s.must(err)
	records := map[uint64]fleet.Record{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var r fleet.Record
		s.must(json.Unmarshal([]byte(line), &r))
		records[r.Seq] = r // a master that is killed may deliver one again
	}
	return records
}

func (s *Shop) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

func (s *Shop) close() {
	if err := s.Close(); err != nil {
		s.T.Error(err)
	}
	if !s.T.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(s.Dir, "*.log"))
	for _, log := range logs {
		if text, err := os.ReadFile(log); err == nil {
			s.T.Logf("%s:\n%s", filepath.Base(log), text)
		}
	}
}

// Needs skips a test that cannot run here; in CI it fails.
func Needs(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s (%s)", program, debianPackage)
	default:
		t.Skipf("needs %s (%s)", program, debianPackage)
	}
	return path
}
