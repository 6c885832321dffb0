package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/master/journal/sqlite"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// bench is what the measurements share: a directory, the keys, and the master that runs at the moment.
type bench struct {
	options
	report report
	dir    string
	master wire.MasterKey
	keys   []bus.KeyPair // of the simulated minions
	proc   *exec.Cmd     // nil: no master runs
	log    *os.File
	bus    string // where it listens
	api    *http.Client
}

func newBench(o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "brine-bench")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	b := &bench{options: o, dir: dir}
	b.api = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.socket())
	}}}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

func (b *bench) close() {
	b.kill()
	if b.log != nil {
		b.log.Close()
	}
	if err := os.RemoveAll(b.dir); err != nil {
		fmt.Fprintln(os.Stderr, "brine-bench:", err)
	}
}

func (b *bench) state() string  { return filepath.Join(b.dir, "master") }
func (b *bench) socket() string { return filepath.Join(b.dir, "api.sock") }

// prepare makes the state of a master that has accepted the keys of all simulated minions, and its configuration.
func (b *bench) prepare() error {
	if err := errors.Join(os.MkdirAll(filepath.Join(b.dir, "apps.d"), 0o700), os.MkdirAll(b.state(), 0o700)); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	key, err := bus.LoadOrCreateKey(filepath.Join(b.state(), "bus.key"))
	if err != nil {
		return err
	}
	sign, err := wire.LoadOrCreateSigningKey(filepath.Join(b.state(), "sign.key"))
	if err != nil {
		return err
	}
	b.master = wire.MasterKey{Bus: key.Public, Sign: sign.Public()}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	b.bus = ports[0]
	config := fmt.Sprintf("state_dir: %s\napps: %s\nbus: {listen: %q}\nhttp: {listen: %q}\napi: {socket: %s}\nlog: {level: warn}\n",
		b.state(), filepath.Join(b.dir, "apps.d"), ports[0], ports[1], b.socket())
	if err := os.WriteFile(b.config(), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if b.log, err = os.Create(filepath.Join(b.dir, "master.log")); err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	return b.accept()
}

func (b *bench) config() string { return filepath.Join(b.dir, "master.yml") }

// accept puts the keys of the minions into the journal. That is done in memory, if possible, because each is a
// transaction of its own.
func (b *bench) accept() error {
	dir, err := os.MkdirTemp("/dev/shm", "brine-bench")
	if err != nil {
		dir = filepath.Join(b.dir, "keys")
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is not ours to keep, and gone at the next boot
	path := filepath.Join(dir, "journal.db")
	j, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	for i := range max(b.minions, b.active) {
		key, err := bus.GenerateKey()
		if err != nil {
			return errors.Join(err, j.Close())
		}
		b.keys = append(b.keys, key)
		accepted := fleet.MinionKey{ID: minionID(i), Key: key.Public, Fingerprint: key.Public.Fingerprint(), State: fleet.KeyAccepted, Since: time.Now(), By: "bench"}
		if err := j.PutKey(context.Background(), accepted); err != nil {
			return errors.Join(err, j.Close())
		}
	}
	if err := j.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.state(), "journal.db"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("copy journal: %w", err)
	}
	return nil
}

func minionID(i int) fleet.MinionID { return fleet.MinionID(fmt.Sprintf("minion%05d", i)) }

// start starts a master and waits until it answers. One that runs is killed first.
func (b *bench) start(ctx context.Context) error {
	b.kill()
	cmd := exec.Command(filepath.Join(b.bin, "brine-master"), "--config", b.config())
	if b.profile != "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find own program: %w", err)
		}
		cmd = exec.Command(self, "serve", "master", b.config())
	}
	cmd.Stdout, cmd.Stderr = b.log, b.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the master: %w (make build)", err)
	}
	b.proc = cmd
	return until(ctx, "the master answers", func() bool {
		return b.get(ctx, "/v1/master", new(json.RawMessage)) == nil
	})
}

// kill is kill -9.
func (b *bench) kill() {
	if b.proc == nil {
		return
	}
	b.proc.Process.Kill() //nolint:errcheck // it may be dead
	b.proc.Wait()         //nolint:errcheck // it was killed
	b.proc = nil
}

func (b *bench) get(ctx context.Context, path string, out any) error {
	return b.call(ctx, http.MethodGet, path, nil, out)
}

func (b *bench) post(ctx context.Context, path string, in, out any) error {
	return b.call(ctx, http.MethodPost, path, in, out)
}

// call asks the master; out is a *[]byte for the answer as it is, nil, or what its JSON is decoded into.
func (b *bench) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://master"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := b.api.Do(req)
	if err != nil {
		return fmt.Errorf("ask the master: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("ask the master: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	case out == nil:
		return nil
	}
	if text, ok := out.(*[]byte); ok {
		*text = answer
		return nil
	}
	return json.Unmarshal(answer, out)
}

// publish gives every minion that target matches a job.
func (b *bench) publish(ctx context.Context, target string, argument int) error {
	args, err := json.Marshal(fleet.Call{Args: []any{string(bytes.Repeat([]byte("x"), argument))}})
	if err != nil {
		return fmt.Errorf("encode arguments: %w", err)
	}
	return b.post(ctx, "/v1/jobs", fleet.RunRequest{Target: target, Function: "test.ping", Args: args}, nil)
}

func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// patience is how long a condition may take.
const patience = 2 * time.Minute

func until(ctx context.Context, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// hurry ends a process that a bench started.
func hurry(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGKILL) //nolint:errcheck // it may be dead
	cmd.Wait()                          //nolint:errcheck // it was killed
}
