// Package process runs one script of somebody else: whatever it does, its caller gets an answer in time, bounded memory
// and a bounded log.
//
// # What a script sees
//
// A session and a process group of its own; no terminal, standard input at its end, two outputs, and no other open file.
// Its environment is [Spec.Env] and nothing else. A script without the x bit is not made executable here; one without #!
// is for sh.
//
// # How it ends
//
// By itself; or over its time, or when its context ends: then its whole group gets TERM, after the grace KILL, and so does
// whatever has left the group but has [Spec.Mark] in its environment. Run waits for the script alone. What the script leaves
// in the background may keep the outputs open as long as it likes: it holds nobody up, never gets SIGPIPE, and lives on.
//
// # What becomes of its output
//
// It is read as fast as it comes and redacted; then it goes by whole lines to the log, to [Spec.Output] and into the tail.
// What the log has no room for is counted and dropped. So neither a full disk nor a full log ever blocks a script.
package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// What a caller branches on. Each is in the chain of Run's error; the text is made for people.
var (
	ErrNotStarted = errors.New("script was not started")    // missing, no interpreter, no permission, or its context was over
	ErrFailed     = errors.New("script failed")             // exit code above 0, or ended by a signal that is not ours
	ErrTime       = errors.New("script was over its time")  // Spec.Timeout
	ErrStopped    = errors.New("script was stopped")        // the context ended; its cause is in the chain too
	ErrUnwatched  = errors.New("script cannot be followed") // nobody knows how it ended
)

// Defaults of a Spec.
const (
	DefaultGrace    = 5 * time.Second
	DefaultLogLimit = 4 << 20 // bytes
	DefaultTail     = 2 << 10 // bytes
)

// StampLayout is how lines of a log begin by default when they are stamped.
const StampLayout = "2006-01-02T15:04:05.000-07:00 "

// Spec is one script to run. Its zero value lacks Name and Path only. It can be encoded as JSON, except for Output.
type Spec struct {
	Name    string        // how errors call it: its location for people
	Path    string        // absolute
	Args    []string      // after the path
	Dir     string        // where it runs; the caller's own when empty
	Env     []string      // all of its environment, NAME=VALUE; of two with one name the later wins
	User    Account       // who it runs as; the zero value is the caller's own user
	Timeout time.Duration // none when zero
	Grace   time.Duration // from TERM to KILL; DefaultGrace when zero
	Settle  time.Duration // how long its outputs are read after its end when something keeps them open; 100 ms when zero
	Mark    string        // one entry of Env, unlike any other script's, by which EndMarked finds all that came of it

	// Log is a file that gets the output: appended, made with mode 0600 when missing. It holds the first LogLimit bytes,
	// what was in it before included, then a line that says that the rest is left out, and the tail. No log when empty.
	Log      string
	LogLimit int64  // DefaultLogLimit when zero
	Stamp    string // time layout of constant width put before each line in the log, in local time; none when empty
	Split    bool   // tell the outputs apart: lines in log and tail begin with [stdout] or [stderr]. Costs their common order
	Tail     int    // bytes of Result.Tail; DefaultTail when zero

	// Secrets are values that never show up: **redacted** is in their place, in the log, in the tail and for Output, also
	// when they are split over several writes. Those below 4 bytes are too short to be one and are left alone.
	Secrets []string

	// Output gets each line as soon as it is whole, from one goroutine at a time, and never after Run has returned. It must
	// not block: the script waits for it.
	Output func(Line) `json:"-"`
}

// Stream is one of a script's outputs.
type Stream string

// The outputs of a script. Without Spec.Split everything is Stdout, in the order in which it was written.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Line is one line of output, valid UTF-8, without its end. One above 16 KiB comes in pieces of that size.
type Line struct {
	Time   time.Time
	Stream Stream
	Text   string
}

// Result is how a script ended. It is right beside an error too.
type Result struct {
	ExitCode   int       `json:"exit_code"` // 128 and the signal's number when a signal ended it, as in a shell
	Tail       string    `json:"tail"`      // the last whole lines that fit, or the end of the one line that does not
	Dropped    int64     `json:"dropped"`   // bytes that the log had no room for
	Background bool      `json:"background"`
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended"`
}

// settle is for Specs without Settle: a tee in the background may have something left.
const settle = 100 * time.Millisecond

// Run runs the script and waits for its end. A nil error means exit code 0. Otherwise the error is one line that begins
// with the words of CodeDeploy's agent, which people search for, and one of the Err values is in its chain.
// Result.Background says that something kept the outputs open.
//
// A context that has ended starts nothing. Scripts may run at the same time, also with one log.
func Run(ctx context.Context, s Spec) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, s.errorf(ErrNotStarted, "was not started: %w", context.Cause(ctx))
	}
	out, err := newOutput(s)
	if err != nil {
		return Result{}, s.errorf(ErrNotStarted, "could not be started: %w", err)
	}
	res := Result{Started: time.Now()}
	cmd, err := s.start(out)
	if err != nil {
		out.abort()
		return res, s.errorf(ErrNotStarted, "could not be started: %w", err)
	}
	out.follow()
	err = s.wait(ctx, cmd)
	res.ExitCode, res.Ended = exitCode(cmd.ProcessState), time.Now()
	res.Background = out.settle(cmp.Or(s.Settle, settle))
	res.Tail, res.Dropped = out.finish()
	return res, err
}

// wait returns when the script has ended, which it makes it do in time.
func (s Spec) wait(ctx context.Context, cmd *exec.Cmd) error {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, ErrTime)
		defer cancel()
	}
	var err error
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
			return s.errorf(ErrUnwatched, "cannot be waited for: %w", err)
		}
		return s.failure(cmd.ProcessState)
	case <-ctx.Done():
	}
	endGroup(cmd.Process.Pid, s.grace())
	<-ended
	EndMarked(s.Mark, s.grace())
	if cause := context.Cause(ctx); !errors.Is(cause, ErrTime) {
		return s.errorf(ErrStopped, "was stopped: %w", cause)
	}
	return s.errorf(ErrTime, "failed to complete in %d seconds", int(s.Timeout.Seconds()))
}

func (s Spec) failure(state *os.ProcessState) error {
	if state.Success() {
		return nil
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return s.errorf(ErrFailed, "was killed by signal %d (%s)", status.Signal(), status.Signal())
	}
	return s.errorf(ErrFailed, "failed with exit code %d", state.ExitCode())
}

// Error is an error of Run: the text for people, and what kind it is.
type Error struct {
	Kind error // one of the Err values
	text error
}

func (e *Error) Error() string   { return e.text.Error() }
func (e *Error) Unwrap() []error { return []error{e.Kind, e.text} }

func (s Spec) errorf(kind error, format string, args ...any) error {
	who := s.Name
	if s.User.Credential != nil {
		who += " run as user " + s.User.Name
	}
	return &Error{kind, fmt.Errorf("Script at specified location: %s "+format, append([]any{who}, args...)...)}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
