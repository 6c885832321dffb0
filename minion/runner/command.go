package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// command is one script about to run.
type command struct {
	name    string // for people
	path    string
	dir     string
	env     []string
	user    account
	timeout time.Duration
	grace   time.Duration
}

// errTime is the cause of a script's end by its own limit.
var errTime = errors.New("over its time")

// run starts the script in a process group of its own and waits for it alone: what it leaves in the background may keep
// its output open as long as it likes. When the time is over the whole group is told to end, and made to after the
// grace. The exit code of a killed script is 128 and the signal, as in a shell.
func (c command) run(ctx context.Context, out *os.File) (exit int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errTime)
	defer cancel()
	if ctx.Err() != nil {
		return 0, c.errorf("was not started: %w", context.Cause(ctx))
	}
	cmd, err := c.start(out)
	if err != nil {
		return 0, c.errorf("could not be started: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		endGroup(cmd.Process.Pid, c.grace)
		<-ended
		return exitCode(cmd.ProcessState), c.stopped(context.Cause(ctx))
	}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return 0, fmt.Errorf("wait for script %s: %w", c.name, err)
	}
	return exitCode(cmd.ProcessState), c.failure(cmd.ProcessState)
}

// start tries again while the kernel thinks that the script is still being written: a child that was forked for another
// script at the wrong instant holds its descriptor for a moment. What has no #! is for sh, as everywhere.
func (c command) start(out *os.File) (*exec.Cmd, error) {
	argv := []string{c.path}
	for busy := 0; ; {
		cmd := &exec.Cmd{Path: argv[0], Args: argv, Dir: c.dir, Env: c.env, Stdout: out, Stderr: out}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.user.credential}
		err := cmd.Start()
		switch {
		case errors.Is(err, syscall.ETXTBSY) && busy < 100:
			busy++
			time.Sleep(10 * time.Millisecond)
		case errors.Is(err, syscall.ENOEXEC) && len(argv) == 1:
			argv = []string{"/bin/sh", c.path}
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("it or the interpreter of its first line does not exist: %w", err)
		default:
			return cmd, err
		}
	}
}

// errorf begins with the words of CodeDeploy's agent, which people search for.
func (c command) errorf(format string, args ...any) error {
	who := c.name
	if c.user.credential != nil {
		who += " run as user " + c.user.name
	}
	return fmt.Errorf("Script at specified location: %s "+format, append([]any{who}, args...)...)
}

func (c command) stopped(why error) error {
	if errors.Is(why, errTime) {
		return c.errorf("failed to complete in %d seconds", int(c.timeout.Seconds()))
	}
	return c.errorf("was stopped: %w", why)
}

func (c command) failure(state *os.ProcessState) error {
	if state.Success() {
		return nil
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return c.errorf("was killed by signal %d (%s)", status.Signal(), status.Signal())
	}
	return c.errorf("failed with exit code %d", state.ExitCode())
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// endGroup sends TERM to a process group and KILL when something of it is left after the grace.
func endGroup(pgid int, grace time.Duration) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(-pgid, sig) // gone is as good
		for limit := time.Now().Add(grace); groupLives(pgid) && time.Now().Before(limit); {
			time.Sleep(10 * time.Millisecond)
		}
		if !groupLives(pgid) {
			return
		}
	}
}

func groupLives(pgid int) bool { return !errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) }

// openLog makes the file that takes a script's output. A file, unlike a pipe, has no reader that can go away: what the
// script leaves running never gets SIGPIPE and holds nobody up. The script's user owns it, so that /dev/stderr works.
func (r *Runner) openLog(job fleet.JobID, number int, event fleet.LifecycleEvent, user account) (*os.File, error) {
	dir := path.Join("logs", string(job))
	if err := r.state.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	f, err := r.state.OpenFile(path.Join(dir, fmt.Sprintf("%02d-%s.log", number, event)), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	if user.credential != nil {
		if err := f.Chown(int(user.credential.Uid), int(user.credential.Gid)); err != nil {
			return nil, errors.Join(fmt.Errorf("make log: %w", err), f.Close())
		}
	}
	return f, nil
}

// endMarked ends whatever still runs of a script that a dead minion left, wherever it went: the mark is in its
// environment. It finds nothing of other users unless the minion is root.
func endMarked(mark string, grace time.Duration) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	groups := map[int]bool{}
	for _, e := range entries {
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), mark) {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		if pgid, err := syscall.Getpgid(pid); err == nil && pgid > 1 && pgid != syscall.Getpgrp() {
			groups[pgid] = true
		}
	}
	for pgid := range groups {
		endGroup(pgid, grace)
	}
}
