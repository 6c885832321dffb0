package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// StepError says which build step failed and how.
type StepError struct {
	Step     int    // from 1
	Command  string // for people, one line
	ExitCode int    // -1: it did not exit by itself
	Tail     string // the end of its output: whole lines, at most fleet.TailBytes
	Err      error
}

// Error is one line without the output.
func (e *StepError) Error() string {
	if e.ExitCode > 0 {
		return fmt.Sprintf("build step %d (`%s`) failed with exit code %d", e.Step, e.Command, e.ExitCode)
	}
	return fmt.Sprintf("build step %d (`%s`) failed: %v", e.Step, e.Command, e.Err)
}

// Unwrap gives the cause: of the context, or of package os/exec.
func (e *StepError) Unwrap() error { return e.Err }

const (
	stepTimeout = 30 * time.Minute // of a step that names none
	grace       = 5 * time.Second  // from SIGTERM to SIGKILL
	commandLen  = 80               // bytes of a command that errors show
)

func (b *Builder) runSteps(ctx context.Context, app fleet.Application, origin fleet.Origin, tree string, output func(string)) error {
	base, err := b.environment(app, origin)
	if err != nil {
		return err
	}
	for i, step := range app.Build.Steps {
		lines := &lineWriter{emit: output}
		lines.line("$ " + command(step))
		err := runStep(ctx, step, base.with(step.Env), tree, lines)
		if err == nil {
			continue
		}
		code := -1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		}
		return &StepError{Step: i + 1, Command: command(step), ExitCode: code, Tail: lines.tail(), Err: err}
	}
	return nil
}

// command is a step for people.
func command(step fleet.BuildStep) string {
	text := strings.TrimSpace(step.Run)
	if text == "" {
		text = strings.Join(step.Argv, " ")
	}
	text, rest, _ := strings.Cut(text, "\n")
	if len(text) > commandLen {
		text, rest = strings.ToValidUTF8(text[:commandLen], ""), "more"
	}
	if rest != "" {
		text += " ..."
	}
	return text
}

// runStep runs one step and waits for all that it has started. Its error is the context's, or that of package os/exec.
func runStep(ctx context.Context, step fleet.BuildStep, env environ, tree string, lines *lineWriter) error {
	timeout := step.Timeout.Or(stepTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("timed out after %v: %w", timeout, context.DeadlineExceeded))
	defer cancel()
	argv := step.Argv
	if step.Run != "" {
		argv = []string{"/bin/sh", "-c", step.Run}
	}
	// A pipe of our own: that of os/exec would wait for everybody who holds it, before we can end them.
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer func() { _ = r.Close() }() // only read from
	cmd := exec.CommandContext(ctx, env.lookPath(argv[0]), argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Dir, cmd.Env = tree, env.list()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines.readFrom(r)
	}()
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left running; usually nothing is
	_ = r.SetReadDeadline(time.Now().Add(grace))        // for what ran away from its process group and holds the pipe
	<-done
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
