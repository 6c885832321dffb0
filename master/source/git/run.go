package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// git runs git on the mirror and gives what it printed, trimmed.
func (g *Git) git(ctx context.Context, args ...string) (string, error) {
	return g.run(ctx, []string{"GIT_DIR=" + g.mirror}, args...)
}

func (g *Git) run(ctx context.Context, env []string, args ...string) (string, error) {
	return g.runIn(ctx, "/", env, args...)
}

// settings hold for every git that is started, and for those that it starts.
func (g *Git) settings() []string {
	settings := []string{
		"protocol.ext.allow=never", // a command in disguise, which a submodule could bring
		"core.hooksPath=/dev/null", "core.fsmonitor=false", "advice.detachedHead=false", "gc.autoDetach=false",
		"http.lowSpeedLimit=1000", "http.lowSpeedTime=60", // a server that went silent is a server that is down
	}
	if g.local() {
		settings = append(settings, "protocol.file.allow=always") // for submodules; whoever gave a local URL trusts this machine
	}
	return settings
}

// grace is how long git may take to clean up behind itself after it was told to end.
const grace = 5 * time.Second

func (g *Git) runIn(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	var argv []string
	for _, setting := range g.settings() {
		argv = append(argv, "-c", setting)
	}
	cmd := exec.CommandContext(ctx, "git", append(argv, args...)...)
	cmd.Dir = dir
	cmd.Env = append(environment(os.Environ()), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal nothing can ask questions, ssh neither
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if cmd.Process != nil && ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what did not end by itself; usually nothing is left
	}
	switch {
	case err == nil:
		return strings.TrimSpace(stdout.String()), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("git is not installed on the master: %w", err)
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s of %s: %w", args[0], redact(g.url), context.Cause(ctx))
	default:
		return "", fmt.Errorf("git %s of %s: %s: %w", args[0], redact(g.url), g.complaint(stderr.String()), err)
	}
}

// environment is the master's own, because git finds keys and helpers by it, without what would lead git elsewhere.
func environment(own []string) []string {
	elsewhere := []string{
		"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR",
		"GIT_NAMESPACE", "GIT_PREFIX", "GIT_TERMINAL_PROMPT", "SSH_ASKPASS_REQUIRE", "LC_ALL", "LANGUAGE",
	}
	env := slices.DeleteFunc(slices.Clone(own), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return slices.Contains(elsewhere, name)
	})
	return append(env, "GIT_TERMINAL_PROMPT=0", "SSH_ASKPASS_REQUIRE=never", "LC_ALL=C.UTF-8")
}

// complaint makes one line of the end of git's messages.
func (g *Git) complaint(stderr string) string {
	stderr = strings.ReplaceAll(stderr, g.url, redact(g.url))
	lines := slices.DeleteFunc(strings.Split(stderr, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
	const last = 6
	return strings.Join(lines[max(0, len(lines)-last):], "; ")
}
