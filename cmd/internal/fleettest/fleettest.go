// Package fleettest runs a real fleet for tests: the real binaries as processes of their own, on free ports of the
// loopback, in one directory.
package fleettest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Fleet is a master, its minions, and what they need. Not safe for concurrent use but for Kill and Brine.
type Fleet struct {
	Dir    string // everything is below it
	Bin    string // directory of the binaries, see Build
	Bus    string // ports
	HTTP   string
	Socket string
	Env    []string // of all processes, beside the test's own
	// Netns names the network namespace of each daemon that has one of its own, see Cable.
	Netns map[string]string

	mu    sync.Mutex
	procs map[string]*Process // guarded by mu; by name: "master", or a minion's id
	token string
	key   string
}

// Process is one daemon.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of its end; read it after done
}

// Build compiles the binaries into dir. With a C compiler they watch for data races.
func Build(dir string) error {
	args := []string{"build", "-o", dir}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if _, err := exec.LookPath("gcc"); err == nil {
		args, env = append(args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
	}
	const module = "github.com/brine-deploy/brine/cmd/"
	if err := goBuild(env, append(args, module+"brine", module+"brine-master", module+"brine-minion")...); err != nil {
		return err
	}
	return goBuild(os.Environ(), "build", "-o", dir, module+"internal/fleettest/webapp")
}

// readSources looks at every directory of the module, inside a test: so go test knows that a result which it has kept is
// one of other binaries.
func readSources(module string) error {
	return filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != module && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
}

func goBuild(env []string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build binaries: %w\n%s", err, out)
	}
	return nil
}

// noNap keeps the race detector from sleeping a second at each process's end.
const noNap = "GORACE=atexit_sleep_ms=0"

// New prepares a fleet in dir, which must have a short path: the API's socket lives there.
func New(dir, bin string) (*Fleet, error) {
	if err := readSources("../../.."); err != nil {
		return nil, err
	}
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	return &Fleet{Dir: dir, Bin: bin, Bus: ports[0], HTTP: ports[1], Socket: filepath.Join(dir, "api.sock"), procs: map[string]*Process{}}, nil
}

// StartMaster starts the master with what extra adds to its configuration file, and waits until it answers.
func (f *Fleet) StartMaster(ctx context.Context, extra string) error {
	config := fmt.Sprintf("state_dir: %[1]s/master\napps: %[1]s/apps.d\nbus: {listen: \"127.0.0.1:%[2]s\"}\nhttp: {listen: \"127.0.0.1:%[3]s\"}\napi: {socket: %[4]s}\n%[5]s",
		f.Dir, f.Bus, f.HTTP, f.Socket, extra)
	if err := os.MkdirAll(filepath.Join(f.Dir, "apps.d"), 0o755); err != nil {
		return err
	}
	path := filepath.Join(f.Dir, "master.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return err
	}
	return f.RestartMaster(ctx)
}

// RestartMaster starts the master with the configuration that it had.
func (f *Fleet) RestartMaster(ctx context.Context) error {
	if err := f.Spawn("master"); err != nil {
		return err
	}
	return f.Until(ctx, "the master answers", func() bool { return f.Brine(ctx, "status").Code == 0 })
}

// Spawn starts a daemon that was configured before: "master" or a minion's id. It does not wait until it is up.
func (f *Fleet) Spawn(name string) error {
	if name == "master" {
		return f.spawn(name, "brine-master", "--config", filepath.Join(f.Dir, "master.yml"))
	}
	return f.spawn(name, "brine-minion", "--config", filepath.Join(f.Dir, name, "minion.yml"))
}

// StartMinion starts a minion, which enrols by token the first time, and waits until it is connected.
func (f *Fleet) StartMinion(ctx context.Context, id string, tags map[string]string) error {
	dir := filepath.Join(f.Dir, id)
	path := filepath.Join(dir, "minion.yml")
	if _, err := os.Stat(path); err != nil {
		if err := f.configureMinion(ctx, id, dir, path, tags); err != nil {
			return err
		}
	}
	if err := f.Spawn(id); err != nil {
		return err
	}
	return f.Until(ctx, id+" is connected", func() bool { return f.connected(ctx, id) })
}

func (f *Fleet) configureMinion(ctx context.Context, id, dir, path string, tags map[string]string) error {
	if err := f.credentials(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	labels, err := json.Marshal(tags)
	if err != nil {
		return err
	}
	config := fmt.Sprintf("id: %s\nmaster: 127.0.0.1:%s\nmaster_key: %s\ntoken: %s\nstate_dir: %s/state\nstartup: highstate\ntags: %s\n", id, f.Bus, f.key, f.token, dir, labels)
	return os.WriteFile(path, []byte(config), 0o600)
}

// credentials asks the master for its key and for a token, once.
func (f *Fleet) credentials(ctx context.Context) error {
	if f.token != "" {
		return nil
	}
	var info struct {
		MasterKey string `json:"master_key"`
	}
	var token struct {
		Token string `json:"token"`
	}
	if err := f.BrineJSON(ctx, &info, "keys", "fingerprint"); err != nil {
		return err
	}
	if err := f.BrineJSON(ctx, &token, "keys", "token", "--uses", "1000"); err != nil {
		return err
	}
	f.key, f.token = info.MasterKey, token.Token
	return nil
}

// MasterKey is what minions pin, once a minion has been configured.
func (f *Fleet) MasterKey() string { return f.key }

func (f *Fleet) connected(ctx context.Context, id string) bool {
	var minions []fleet.Minion
	if f.API(ctx, "/v1/minions?target="+url.QueryEscape("L@"+id), &minions) != nil {
		return false
	}
	return len(minions) == 1 && minions[0].Connected && minions[0].Version != ""
}

// API asks the master without the CLI.
func (f *Fleet) API(ctx context.Context, path string, out any) error {
	return f.call(ctx, http.MethodGet, path, nil, out)
}

// Post tells the master something without the CLI.
func (f *Fleet) Post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return f.call(ctx, http.MethodPost, path, bytes.NewReader(body), out)
}

func (f *Fleet) call(ctx context.Context, method, path string, body io.Reader, out any) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.Socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://master"+path, body)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// Result is what a command left.
type Result struct {
	Stdout, Stderr string
	Code           int // -1: it could not be run, or was killed
}

// Brine runs the CLI.
func (f *Fleet) Brine(ctx context.Context, args ...string) Result {
	var out, errs bytes.Buffer
	return f.brine(ctx, &out, &errs, args...)
}

// brine runs the CLI with buffers that may be read meanwhile.
func (f *Fleet) brine(ctx context.Context, out, errs buffer, args ...string) Result {
	cmd := exec.CommandContext(ctx, filepath.Join(f.Bin, "brine"), args...)
	cmd.Env = append(os.Environ(), "BRINE_SOCKET="+f.Socket, noNap)
	cmd.Stdout, cmd.Stderr = out, errs
	_ = cmd.Run() // the exit code tells
	return Result{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
}

type buffer interface {
	io.Writer
	fmt.Stringer
}

// BrineJSON runs the CLI and decodes the first JSON document that it prints.
func (f *Fleet) BrineJSON(ctx context.Context, out any, args ...string) error {
	r := f.Brine(ctx, append(args, "--output", "json")...)
	if r.Code != 0 {
		return fmt.Errorf("brine %s: exit code %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return json.NewDecoder(strings.NewReader(r.Stdout)).Decode(out)
}

func (f *Fleet) spawn(name, program string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(f.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	argv := append([]string{filepath.Join(f.Bin, program)}, args...)
	if ns := f.Netns[name]; ns != "" {
		argv = append([]string{"ip", "netns", "exec", ns}, argv...) // it becomes the program
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(append(withoutCloud(os.Environ()), noNap), f.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.procs[name] = p
	return nil
}

// withoutCloud drops what the AWS SDK would find by itself: daemons have the credentials that their files give them.
func withoutCloud(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "AWS_") })
}

// Pid is the process id of a running daemon, 0 when it does not run.
func (f *Fleet) Pid(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.procs[name]; p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Kill sends SIGKILL to a daemon and waits for its end. What its hooks started lives on.
func (f *Fleet) Kill(name string) error { return f.end(name, syscall.SIGKILL) }

// Stop sends SIGTERM to a daemon and waits for its end.
func (f *Fleet) Stop(name string) error { return f.end(name, syscall.SIGTERM) }

func (f *Fleet) end(name string, sig syscall.Signal) error {
	f.mu.Lock()
	p := f.procs[name]
	delete(f.procs, name)
	f.mu.Unlock()
	if p == nil {
		return fmt.Errorf("%s does not run", name)
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within 30 s of %s", name, sig)
	}
	if sig == syscall.SIGTERM && p.err != nil {
		return fmt.Errorf("%s ended with %w; see %s.log", name, p.err, filepath.Join(f.Dir, name))
	}
	return nil
}

// Close ends all daemons and the services that hooks started, and returns the logs' data races as an error.
func (f *Fleet) Close() error {
	f.mu.Lock()
	var names []string
	for name := range f.procs {
		names = append(names, name)
	}
	f.mu.Unlock()
	for _, name := range names {
		_ = f.Stop(name) // the test has made its own assertions
	}
	f.stopServices()
	logs, err := filepath.Glob(filepath.Join(f.Dir, "*.log"))
	for _, log := range logs {
		text, rerr := os.ReadFile(log)
		if rerr == nil && bytes.Contains(text, []byte("DATA RACE")) {
			return fmt.Errorf("data race in %s:\n%s", filepath.Base(log), text)
		}
		if rerr == nil && bytes.Contains(text, []byte("\npanic: ")) {
			return fmt.Errorf("panic in %s:\n%s", filepath.Base(log), text)
		}
	}
	return err
}

// stopServices kills what hooks left running: their environment names a root of this fleet.
func (f *Fleet) stopServices() {
	ours := []byte("\x00BRINE_ROOT=" + f.Dir + "/")
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(env, ours) {
			continue // ended, or somebody else's
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// Until waits for a condition, for a minute at most.
func (f *Fleet) Until(ctx context.Context, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s", what)
		}
	}
	return nil
}
