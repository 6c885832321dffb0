// Package tool runs the programs of a host that states need: useradd, systemctl, apt-get, ...
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/states/state"
)

// Output is what a program said.
type Output struct {
	Code           int // 127 when it could not be started
	Stdout, Stderr string
}

// OK reports whether it ended well.
func (o Output) OK() bool { return o.Code == 0 }

// Said is what there is to tell people of a failure.
func (o Output) Said() string {
	if text := strings.TrimSpace(o.Stderr); text != "" {
		return text
	}
	if text := strings.TrimSpace(o.Stdout); text != "" {
		return text
	}
	return fmt.Sprintf("exit status %d", o.Code)
}

// Host runs programs. The zero Host uses the minion's own environment.
type Host struct {
	*state.Host
}

// On gives the programs of a call's host.
func On(c *state.Call) Host { return Host{c.Host} }

// maxOutput bounds what is kept of each stream.
const maxOutput = 16 << 20

// Run runs a program to its end, with stdin if any. It speaks English to it.
func (h Host) Run(ctx context.Context, stdin string, name string, args ...string) Output {
	cmd := h.Cmd(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return Finish(cmd)
}

// Cmd makes a command, with a C locale so that its output can be understood.
func (h Host) Cmd(ctx context.Context, name string, args ...string) *exec.Cmd {
	var cmd *exec.Cmd
	if h.Host != nil && h.Command != nil {
		cmd = h.Command(ctx, name, args...)
	} else {
		cmd = exec.CommandContext(ctx, name, args...)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "LANGUAGE=C")
	return cmd
}

// Finish runs a command and gathers what it says.
func Finish(cmd *exec.Cmd) Output {
	var stdout, stderr Bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := Output{Stdout: stdout.String(), Stderr: stderr.String()}
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		out.Code = ended.ExitCode()
	} else if err != nil {
		out.Code = 127
		out.Stderr += err.Error()
	}
	return out
}

// Has finds a program on the host's PATH.
func (h Host) Has(name string) bool {
	if strings.Contains(name, "/") {
		_, err := exec.LookPath(name)
		return err == nil
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH") + ":/usr/sbin:/sbin") {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// Bounded keeps the first 16 MiB of what is written to it.
type Bounded struct{ buf bytes.Buffer }

// Write keeps what there is room for, and takes all.
func (b *Bounded) Write(p []byte) (int, error) {
	b.buf.Write(p[:min(len(p), max(0, maxOutput-b.buf.Len()))])
	return len(p), nil
}

// String is what was kept.
func (b *Bounded) String() string { return b.buf.String() }
