package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// start tries again while the kernel thinks that the script is still being written: a child that was forked for another
// script at the wrong instant holds its descriptor for a moment. What has no #! is for sh, as everywhere.
func (s Spec) start(out *output) (*exec.Cmd, error) {
	// What others of this process opened without care must not reach the script. An old kernel cannot do it.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	argv := append([]string{s.Path}, s.Args...)
	for busy := 0; ; {
		cmd := &exec.Cmd{Path: argv[0], Args: argv, Dir: s.Dir, Env: s.environment(), Stdout: out.stdout(), Stderr: out.stderr()}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.User.Credential}
		err := cmd.Start()
		switch {
		case errors.Is(err, syscall.ETXTBSY) && busy < 100:
			busy++
			time.Sleep(10 * time.Millisecond)
		case errors.Is(err, syscall.ENOEXEC) && argv[0] == s.Path:
			argv = append([]string{"/bin/sh"}, argv...)
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("it or the interpreter of its first line does not exist: %w", err)
		default:
			return cmd, err
		}
	}
}

// environment is never nil: for os/exec that would be the caller's own.
func (s Spec) environment() []string { return append([]string{}, s.Env...) }

func (s Spec) grace() time.Duration { return cmp.Or(s.Grace, DefaultGrace) }
