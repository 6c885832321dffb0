// Package exec drives a load balancer through an executable of the user's own. It is run once for each order, with no
// shell between, gets the order as JSON on standard input, and answers with JSON on standard output:
//
//	{"action":"drain","pool":"shop","member":{"name":"web1","address":"10.0.0.11:80"},"timeout_ms":30000}   -> {}
//	{"action":"activate","pool":"shop","member":{"name":"web1","address":"10.0.0.11:80"},"timeout_ms":60000} -> {}
//	{"action":"members","pool":"shop"}                           -> {"members":{"web1":"up","web2":"draining"}}
//
// What each must do is what balancer.Balancer says of its methods. A member is up, down, checking, draining or out. When
// timeout_ms is over a drain cuts off and succeeds, and an activation takes the member out again and fails. TERM, with KILL
// a while later, means that the master stops: a drain then leaves the member draining and cuts nobody off.
//
// It exits with 0 when that was done. With anything else it failed, and the end of its standard error says why. When it
// has no such pool it answers {"unknown_pool":true,"pools":["shop","blog"]} with any exit code. What it prints to standard
// error otherwise goes into the master's log.
package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/registry"
)

const (
	maxAnswer     = 4 << 20
	shown         = 500              // bytes of standard error that an error has
	overtime      = 10 * time.Second // for the executable to cut off and answer when the order's time is over
	grace         = 5 * time.Second  // from TERM to KILL
	defaultBudget = 30 * time.Second // of an order without a deadline
)

// Config is the section of a balancer of type exec.
type Config struct {
	Command []string          `yaml:"command"` // an absolute path, and arguments
	Env     map[string]string `yaml:"env"`     // beside PATH and HOME: it gets no other variables of the master
}

// Exec is one executable.
type Exec struct {
	argv []string
	env  []string
	log  *slog.Logger
}

var _ balancer.Balancer = (*Exec)(nil)

// Plugin is this driver's line in the list of balancers.
func Plugin() registry.Plugin[balancer.Balancer] {
	return registry.Plugin[balancer.Balancer]{
		Name: "exec",
		Help: "an executable of your own, for any other load balancer",
		New: func(s registry.Section, log *slog.Logger) (balancer.Balancer, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c, log)
		},
	}
}

// New makes the driver, and looks whether the executable is there.
func New(c Config, log *slog.Logger) (*Exec, error) {
	if len(c.Command) == 0 || !filepath.IsAbs(c.Command[0]) {
		return nil, errors.New("command: the absolute path of an executable is wanted, and its arguments")
	}
	if _, err := osexec.LookPath(c.Command[0]); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	e := &Exec{argv: c.Command, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, log: log}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		e.env = append(e.env, name+"="+c.Env[name])
	}
	return e, nil
}

// order is what the executable gets.
type order struct {
	Action  string  `json:"action"`
	Pool    string  `json:"pool"`
	Member  *member `json:"member,omitempty"`
	Timeout int64   `json:"timeout_ms,omitempty"`
}

type member struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// answer is what it gives.
type answer struct {
	Members     map[string]balancer.Status `json:"members"`
	UnknownPool bool                       `json:"unknown_pool"`
	Pools       []string                   `json:"pools"`
}

// Drain implements balancer.Balancer.
func (e *Exec) Drain(ctx context.Context, pool string, m balancer.Member) error {
	_, err := e.order(ctx, order{Action: "drain", Pool: pool, Member: &member{m.Name, m.Address}})
	if err != nil {
		return fmt.Errorf("drain %s in %s: %w", m.Name, pool, err)
	}
	return nil
}

// Activate implements balancer.Balancer.
func (e *Exec) Activate(ctx context.Context, pool string, m balancer.Member) error {
	if err := balancer.CheckMember(pool, m); err != nil {
		return err
	}
	_, err := e.order(ctx, order{Action: "activate", Pool: pool, Member: &member{m.Name, m.Address}})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", err, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("activate %s in %s: %w", m.Name, pool, err)
	}
	return nil
}

// Members implements balancer.Balancer.
func (e *Exec) Members(ctx context.Context, pool string) (map[string]balancer.Status, error) {
	a, err := e.order(ctx, order{Action: "members", Pool: pool})
	if err != nil {
		return nil, fmt.Errorf("members of %s: %w", pool, err)
	}
	known := []balancer.Status{balancer.Up, balancer.Down, balancer.Checking, balancer.Draining, balancer.Out}
	for name, status := range a.Members {
		if !slices.Contains(known, status) {
			return nil, fmt.Errorf("members of %s: %s says that %s is %q; known are %v", pool, e.argv[0], name, status, known)
		}
	}
	return a.Members, nil
}

// order runs the executable once. It outlives ctx's deadline for a while, because to cut off is its own work, but not
// ctx's cancellation.
func (e *Exec) order(ctx context.Context, o order) (answer, error) {
	budget := defaultBudget
	if at, ok := ctx.Deadline(); ok {
		budget = max(0, time.Until(at))
	}
	o.Timeout = budget.Milliseconds()
	run, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget+overtime)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})()
	input, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	cmd := osexec.CommandContext(run, e.argv[0], e.argv[1:]...)
	cmd.Env, cmd.Stdin = e.env, bytes.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	var out, problems limited
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	if run.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what TERM has not ended
	}
	return e.read(ctx, o, err, out.kept.Bytes(), strings.TrimSpace(problems.kept.String()))
}

// read makes sense of how a run ended.
func (e *Exec) read(ctx context.Context, o order, failed error, out []byte, problems string) (answer, error) {
	var a answer
	broken := json.Unmarshal(out, &a)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return a, ctx.Err()
	case broken == nil && a.UnknownPool:
		return a, balancer.UnknownPool(o.Pool, a.Pools)
	case failed != nil && problems != "":
		return a, fmt.Errorf("%s: %w: %s", e.argv[0], failed, strings.Join(strings.Fields(problems[max(0, len(problems)-shown):]), " "))
	case failed != nil:
		return a, fmt.Errorf("%s: %w", e.argv[0], failed)
	case broken != nil:
		return a, fmt.Errorf("%s answered no JSON: %w", e.argv[0], broken)
	}
	if problems != "" {
		e.log.Info("balancer says", "command", e.argv[0], "action", o.Action, "output", problems)
	}
	return a, nil
}

// limited keeps what fits and refuses the rest. It does not embed its buffer, whose ReadFrom knows no limit.
type limited struct{ kept bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.kept.Len()+len(p) > maxAnswer {
		return 0, io.ErrShortWrite
	}
	return l.kept.Write(p)
}
