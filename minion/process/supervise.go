package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLeave is the cause of a context that leaves a supervised script running: Run returns it at once, and Await, in this
// process or in its successor, takes the script up again.
var ErrLeave = errors.New("the minion is stopped")

// SuperviseCommand is the first argument of a program that has to call Supervise with the second, before all else.
const SuperviseCommand = "supervise-hook"

// Supervisor runs each script under a process of its own, which outlives the caller: it reads the output, keeps the time, and
// writes down how the script ended.
//
//	DIR/lock         held, by a lock that the kernel ends with its owner, as long as the supervisor lives; has its pid
//	DIR/result.json  how it ended; written and synced before the lock is gone
//
// The zero value runs scripts in the caller, as the function Run does.
type Supervisor struct {
	Program string // that calls Supervise; "/proc/self/exe" is the caller's own, also after an upgrade
}

// outcome is result.json.
type outcome struct {
	Result Result `json:"result"`
	Kind   string `json:"kind,omitempty"`
	Text   string `json:"text,omitempty"`
}

func kinds() []error { return []error{ErrNotStarted, ErrFailed, ErrTime, ErrStopped, ErrUnwatched} }

// Run is the function Run with these differences: dir, which belongs to this script alone and is made, has what Await needs;
// a context that ends with ErrLeave leaves the script alone; lines get to Spec.Output a moment later, and only those for
// which the log has room.
func (v Supervisor) Run(ctx context.Context, dir string, s Spec) (Result, error) {
	if v.Program == "" {
		return Run(ctx, s)
	}
	if ctx.Err() != nil {
		return Result{}, s.errorf(ErrNotStarted, "was not started: %w", context.Cause(ctx))
	}
	from := sizeOf(s.Log)
	child, err := v.start(dir, s)
	if err != nil {
		return Result{}, s.errorf(ErrNotStarted, "could not be started: %w", err)
	}
	defer child.close()
	return follow(ctx, dir, s, from, child)
}

// Await waits for a script that Supervisor.Run has started in dir, perhaps in a process that is gone. ErrNotStarted means that
// it never was; ErrUnwatched that its supervisor is gone without a word, after a reboot for example: what was left of the
// script has been ended. Output gets no line that the log had before.
func Await(ctx context.Context, dir string, s Spec) (Result, error) {
	if _, err := os.Stat(filepath.Join(dir, "lock")); errors.Is(err, fs.ErrNotExist) {
		return Result{}, s.errorf(ErrNotStarted, "was not started")
	}
	return follow(ctx, dir, s, sizeOf(s.Log), &stranger{dir})
}

// Watched reports whether Await can tell how the script in dir ends.
func Watched(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "result.json")); err == nil {
		return true
	}
	return (&stranger{dir}).alive()
}

// watcher is a supervisor, one's own or one that was found.
type watcher interface {
	wait(d time.Duration) (ended bool) // for so long at most
	signal(sig syscall.Signal)
}

// pollTime is how often the log and a stranger are looked at.
const pollTime = 50 * time.Millisecond

func follow(ctx context.Context, dir string, s Spec, from int64, w watcher) (Result, error) {
	log := &logReader{name: s.Log, at: from, spec: s}
	told := false
	for patience := time.Duration(0); !w.wait(pollTime); {
		log.read()
		if ctx.Err() == nil {
			continue
		}
		if errors.Is(context.Cause(ctx), ErrLeave) {
			return Result{}, ErrLeave
		}
		if !told {
			w.signal(syscall.SIGTERM)
			told = true
		}
		if patience += pollTime; patience > 3*s.grace()+10*time.Second {
			w.signal(syscall.SIGKILL)
		}
	}
	log.read()
	res, err := readOutcome(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		EndMarked(s.Mark, s.grace())
		return res, s.errorf(ErrUnwatched, "was interrupted: its supervisor is gone, and nobody knows how it ended")
	case told && errors.Is(err, ErrStopped):
		return res, s.errorf(ErrStopped, "was stopped: %w", context.Cause(ctx))
	}
	return res, err
}

func readOutcome(dir string) (Result, error) {
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		return Result{}, err
	}
	var o outcome
	if err := json.Unmarshal(data, &o); err != nil {
		return Result{}, fmt.Errorf("read how the script ended: %w", err)
	}
	for _, kind := range kinds() {
		if o.Kind == kind.Error() {
			return o.Result, &Error{kind, errors.New(o.Text)}
		}
	}
	return o.Result, nil
}

// child is a supervisor that this process started.
type child struct {
	cmd  *exec.Cmd
	life *os.File // at its end when the supervisor is
}

// start gives the lock to the supervisor as it is: there is no instant in which nobody holds it.
func (v Supervisor) start(dir string, s Spec) (c *child, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	spec, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	in, order, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	life, held, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, order.Close())
	}
	defer held.Close()
	cmd := &exec.Cmd{
		Path: v.Program, Args: []string{"brine-minion", SuperviseCommand, dir}, Stdin: in, ExtraFiles: []*os.File{lock, held},
		Env: supervisorEnv(), SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, life.Close(), order.Close())
	}
	_, err = order.Write(spec)
	if err = errors.Join(err, order.Close()); err != nil { // it does not start half an order
		return nil, errors.Join(err, life.Close(), cmd.Process.Kill(), cmd.Wait())
	}
	return &child{cmd, life}, nil
}

// supervisorEnv has nothing of the minion's own. A minion that is built to watch for data races would sleep for a second at
// the end of each script.
func supervisorEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "GORACE=atexit_sleep_ms=0"}
}

func (c *child) wait(d time.Duration) bool {
	_ = c.life.SetReadDeadline(time.Now().Add(d))
	if _, err := c.life.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	_ = c.cmd.Wait()
	return true
}

func (c *child) signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

func (c *child) close() { _ = c.life.Close() }

// stranger is the supervisor of somebody who is gone.
type stranger struct{ dir string }

func (x *stranger) wait(d time.Duration) bool {
	if !x.alive() {
		return true
	}
	time.Sleep(d)
	return false
}

func (x *stranger) alive() bool {
	lock, err := os.Open(filepath.Join(x.dir, "lock"))
	if err != nil {
		return false
	}
	defer lock.Close()
	return errors.Is(unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func (x *stranger) signal(sig syscall.Signal) {
	text, err := os.ReadFile(filepath.Join(x.dir, "lock"))
	if pid, err2 := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && err2 == nil && x.alive() {
		_ = syscall.Kill(pid, sig)
	}
}

// lockFD is where a supervisor has its lock, until it ends.
const lockFD = 3

// Supervise is the life of a supervisor, and gives its exit code.
func Supervise(dir string) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT) // not Ignore, which scripts would inherit
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if _, err := syscall.Write(lockFD, []byte(strconv.Itoa(os.Getpid())+"\n")); err != nil {
		return 1
	}
	var s Spec
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		return 1
	}
	res, err := Run(ctx, s)
	o := outcome{Result: res}
	if e, ok := errors.AsType[*Error](err); ok {
		o.Kind, o.Text = e.Kind.Error(), e.Error()
	}
	if writeOutcome(dir, o) != nil {
		return 1
	}
	return 0
}

func sizeOf(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

func writeOutcome(dir string, o outcome) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	half := filepath.Join(dir, "result.new")
	f, err := os.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(half, filepath.Join(dir, "result.json")); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
