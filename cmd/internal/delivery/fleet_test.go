package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master"
	"github.com/brine-deploy/brine/minion"
	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// fleetOf is a master and its minions.
type fleetOf struct {
	t      *testing.T
	dir    string
	socket string
	bus    string
	key    string
	log    *slog.Logger
	stops  map[string]func()
}

// newFleet starts a master.
func newFleet(t *testing.T) *fleetOf {
	t.Helper()
	dir, err := os.MkdirTemp("", "dlv") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	f := &fleetOf{t: t, dir: dir, socket: filepath.Join(dir, "s"), bus: freeAddress(t), stops: map[string]func(){}}
	f.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	t.Cleanup(func() {
		for name := range f.stops {
			f.stop(name)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	f.startMaster()
	var info fleet.MasterInfo
	f.call("GET", "/v1/master", nil, &info)
	f.key = info.MasterKey
	return f
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// daemon is a master or a minion.
type daemon interface {
	Run(ctx context.Context, ready func()) error
}

func (f *fleetOf) start(name string, d daemon, err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx, sync.OnceFunc(func() { close(ready) })); err != nil {
			f.t.Errorf("%s: %v", name, err)
		}
	}()
	f.stops[name] = func() {
		cancel()
		<-done
	}
	select {
	case <-ready:
	case <-done:
		f.t.FailNow()
	}
}

func (f *fleetOf) stop(name string) {
	if stop := f.stops[name]; stop != nil {
		delete(f.stops, name)
		stop()
	}
}

func (f *fleetOf) startMaster() {
	f.t.Helper()
	path := f.file("master.yml", fmt.Sprintf("state_dir: %[1]s/master\napps: %[1]s/apps.d\nbus: {listen: %[2]q}\nhttp: {listen: \"127.0.0.1:0\"}\napi: {socket: %[3]s}\n",
		f.dir, f.bus, f.socket))
	if err := os.MkdirAll(filepath.Join(f.dir, "apps.d"), 0o700); err != nil {
		f.t.Fatal(err)
	}
	cfg, err := config.LoadMaster(path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	m, err := master.New(f.t.Context(), cfg, "test", f.log.With("who", "master"))
	f.start("master", m, err)
}

// startMinion starts a minion that knows the master by an address, and waits until it is there.
func (f *fleetOf) startMinion(id, address string) {
	f.t.Helper()
	var token fleet.Token
	f.call("POST", "/v1/tokens", fleet.TokenRequest{}, &token)
	path := f.file(id+".yml", fmt.Sprintf("id: %s\nmaster: %q\nmaster_key: %s\ntoken: %s\nstate_dir: %s/%[1]s\n", id, address, f.key, token.Text, f.dir))
	cfg, err := config.LoadMinion(path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	m, err := minion.New(cfg, "test", f.log.With("who", id), process.Supervisor{})
	f.start(id, m, err)
	f.until(id+" is connected", func() bool { return f.minion(id).Connected && f.minion(id).Version != "" })
}

func (f *fleetOf) file(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// call asks the master's API.
func (f *fleetOf) call(method, path string, in, out any) {
	f.t.Helper()
	if problem := f.try(method, path, in, out); problem != nil {
		f.t.Fatalf("%s %s: %v", method, path, problem)
	}
}

func (f *fleetOf) try(method, path string, in, out any) *fleet.Problem {
	f.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.socket)
	}}}
	body, err := json.Marshal(in)
	if err != nil {
		f.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, "http://master"+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		var p fleet.Problem
		if err := json.Unmarshal(answer, &p); err != nil {
			f.t.Fatal(err)
		}
		return &p
	}
	if err := json.Unmarshal(answer, out); err != nil {
		f.t.Fatal(err)
	}
	return nil
}

func (f *fleetOf) minion(id string) fleet.Minion {
	f.t.Helper()
	var list []fleet.Minion
	f.call("GET", "/v1/minions?target=L@"+id, nil, &list)
	if len(list) != 1 {
		return fleet.Minion{}
	}
	return list[0]
}

// run publishes a function and gives the job's id.
func (f *fleetOf) run(target, function, arg string, timeout time.Duration) fleet.JobID {
	f.t.Helper()
	var call fleet.Call
	if arg != "" {
		call.Args = []any{arg}
	}
	args, err := json.Marshal(call)
	if err != nil {
		f.t.Fatal(err)
	}
	var ticket fleet.RunTicket
	f.call("POST", "/v1/jobs", fleet.RunRequest{Target: target, Function: function, Args: args, Timeout: fleet.Duration(timeout)}, &ticket)
	return ticket.Job
}

func (f *fleetOf) job(id fleet.JobID) fleet.JobStatus {
	f.t.Helper()
	var s fleet.JobStatus
	f.call("GET", "/v1/jobs/"+string(id), nil, &s)
	return s
}

// state is where a job is with its only minion: the outcome when it has one.
func (f *fleetOf) state(id fleet.JobID) string {
	f.t.Helper()
	m := f.job(id).PerMinion[0]
	if m.Return != nil {
		return string(m.Return.Outcome)
	}
	return string(m.State)
}

// ended waits until all minions of a job have returned, and gives the first one's return.
func (f *fleetOf) ended(id fleet.JobID) fleet.Return {
	f.t.Helper()
	f.until("job "+string(id)+" has ended", func() bool {
		var list []fleet.JobSummary // without the returns, which may be large
		f.call("GET", "/v1/jobs?limit=50", nil, &list)
		i := slices.IndexFunc(list, func(j fleet.JobSummary) bool { return j.ID == id })
		return i >= 0 && list[i].Waiting == 0
	})
	return *f.job(id).PerMinion[0].Return
}

func (f *fleetOf) until(what string, done func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited in vain until %s", what)
		}
	}
}
