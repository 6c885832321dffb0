package minion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// releaseFunction brings a revision to this host.
const releaseFunction = "deploy.release"

// function is what a job names. Its value goes into the return, also beside an error.
type function func(ctx context.Context, job fleet.Job, report func(fleet.EventResult)) (any, error)

// table lists the functions.
func (m *Minion) table() map[string]function {
	return map[string]function{
		"cmd.run":       cmdRun,
		releaseFunction: m.release,
		"grains.items": func(ctx context.Context, _ fleet.Job, _ func(fleet.EventResult)) (any, error) {
			return m.facts(ctx), nil
		},
		"test.ping": func(context.Context, fleet.Job, func(fleet.EventResult)) (any, error) { return true, nil },
	}
}

func (m *Minion) known() string {
	return strings.Join(slices.Sorted(maps.Keys(m.functions)), ", ")
}

func (m *Minion) release(ctx context.Context, job fleet.Job, report func(fleet.EventResult)) (any, error) {
	var order fleet.ReleaseOrder
	if err := json.Unmarshal(job.Args, &order); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	return m.runner.Release(ctx, job.ID, order, report)
}

const (
	outputLimit = 8 << 20 // bytes of a command's output that are returned: the last ones
	killGrace   = 2 * time.Second
)

// cmdRun runs one shell command, as its name in Salt says: that a person may give any command is its purpose. Its value
// is the end of the output; arguments: cmd (the first), cwd. When its time is over, or somebody kills it, all that it has
// started in its process group gets TERM, and KILL after the grace.
func cmdRun(ctx context.Context, job fleet.Job, _ func(fleet.EventResult)) (any, error) {
	var call fleet.Call
	if err := json.Unmarshal(job.Args, &call); err != nil {
		return nil, fmt.Errorf("cmd.run: %w", err)
	}
	command, _ := call.Kwargs["cmd"].(string)
	if len(call.Args) > 0 {
		command = fmt.Sprint(call.Args[0])
	}
	if command == "" {
		return nil, errors.New("cmd.run takes a command, for example: cmd.run 'uptime'")
	}
	ctx, cancel := context.WithDeadlineCause(ctx, job.Deadline, errors.New("the command did not end before the job's deadline and was killed"))
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Dir, _ = call.Kwargs["cwd"].(string)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killGrace
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what TERM has not ended
	}
	var exit *exec.ExitError
	switch {
	case err != nil && ctx.Err() != nil:
		return out.String(), context.Cause(ctx)
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return out.String(), fmt.Errorf("exit code %d", exit.ExitCode())
	case errors.Is(err, exec.ErrWaitDelay):
		return out.String(), nil // a process in the background kept the output open
	default:
		return out.String(), err
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	kept []byte
	cut  int64
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*outputLimit {
		t.trim()
	}
	return len(p), nil
}

func (t *tail) trim() {
	if over := len(t.kept) - outputLimit; over > 0 {
		t.kept = slices.Delete(t.kept, 0, over)
		t.cut += int64(over)
	}
}

func (t *tail) String() string {
	t.trim()
	text := strings.TrimRight(string(t.kept), "\n")
	if t.cut > 0 {
		text = fmt.Sprintf("[%d bytes before this are left out]\n%s", t.cut, text)
	}
	return text
}
