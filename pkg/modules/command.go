package modules

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command is one command that runs to its end, for cmd.run and its like.
type Command struct {
	Args  []string // the program and its arguments
	Dir   string   // the home of who runs it, else the root, when empty
	RunAs string   // name of the user; our own when empty
	Env   []string // NAME=value, besides our own
	Clean bool     // without our own environment
	Stdin string
	Merge bool // stderr goes into Stdout
}

// Output is what came of a command.
type Output struct {
	Stdout, Stderr string // their ends, when they were long
	Code           int    // exit code; the negative number of the signal that killed it
	PID            int
}

const (
	outputLimit = 8 << 20 // bytes of each output that are kept: the last ones
	killGrace   = 2 * time.Second
)

// Run runs it. When ctx is done, all that the command has started in its process group gets TERM, and KILL after two
// seconds; the error is the context's cause then, and what was said until then is in Output. An exit code is no error.
// What the command leaves in the background is not waited for longer than that.
func (c Command) Run(ctx context.Context) (Output, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	if err := c.prepare(cmd); err != nil {
		return Output{}, err
	}
	var out, errs tail
	cmd.Stdout, cmd.Stderr = &out, &errs
	if c.Merge {
		cmd.Stderr = &out
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killGrace
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what TERM has not ended
	}
	said := Output{Stdout: out.String(), Stderr: errs.String()}
	if cmd.Process != nil {
		said.PID = cmd.Process.Pid
	}
	var exit *exec.ExitError
	switch {
	case err != nil && ctx.Err() != nil:
		return said, context.Cause(ctx)
	case errors.As(err, &exit):
		if said.Code = exit.ExitCode(); said.Code < 0 {
			said.Code = -int(exit.Sys().(syscall.WaitStatus).Signal())
		}
		return said, nil
	case errors.Is(err, exec.ErrWaitDelay):
		return said, nil // a process in the background kept the output open
	case err != nil:
		return said, fmt.Errorf("run %s: %w", c.Args[0], err)
	default:
		return said, nil
	}
}

// prepare sets what the command runs as, where, and with which environment. As in Salt its language is C, so that what
// it says can be read by others.
func (c Command) prepare(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = []string{"LC_ALL=C"}
	if !c.Clean {
		cmd.Env = append(os.Environ(), cmd.Env...)
	}
	home, _ := os.UserHomeDir()
	if c.RunAs != "" {
		u, credential, err := lookUp(c.RunAs)
		if err != nil {
			return err
		}
		home = u.HomeDir
		if os.Getuid() != int(credential.Uid) {
			cmd.SysProcAttr.Credential = credential
		}
		cmd.Env = append(cmd.Env, "HOME="+home, "USER="+u.Username, "LOGNAME="+u.Username)
	}
	cmd.Env = append(cmd.Env, c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	if cmd.Dir = c.Dir; cmd.Dir == "" {
		cmd.Dir = cmp.Or(home, "/")
		if info, err := os.Stat(cmd.Dir); err != nil || !info.IsDir() {
			cmd.Dir = "/"
		}
	}
	return nil
}

func lookUp(name string) (*user.User, *syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, nil, fmt.Errorf("run as %s: %w", name, err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, nil, fmt.Errorf("find groups of %s: %w", name, err)
	}
	credential := &syscall.Credential{}
	for i, id := range append([]string{u.Uid, u.Gid}, groups...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, nil, fmt.Errorf("read ids of %s: %w", name, err)
		}
		switch i {
		case 0:
			credential.Uid = uint32(n)
		case 1:
			credential.Gid = uint32(n)
		default:
			credential.Groups = append(credential.Groups, uint32(n))
		}
	}
	return u, credential, nil
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
	text := strings.ToValidUTF8(string(bytes.TrimRight(t.kept, "\n")), "\uFFFD")
	if t.cut > 0 {
		text = fmt.Sprintf("[%d bytes before this are left out]\n%s", t.cut, text)
	}
	return text
}

// shellWords takes a command line apart as a shell does, without expanding anything.
func shellWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inside, quote, escaped := false, rune(0), false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inside = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inside = r, true
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	switch {
	case quote != 0 || escaped:
		return nil, fmt.Errorf("%w: a quote is not closed in the command %q", ErrArguments, line)
	case inside:
		words = append(words, word.String())
	}
	return words, nil
}
