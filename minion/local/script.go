package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	longestSettle = 10 * time.Second // for outputs that a script leaves open; its own timeout if that is less
	logLimit      = 64 << 20

	cannotExecute = 126 // exit code of a shell that may not run its command
)

// run runs one script, in the caller's directory and environment, as the agent does.
func (d *deployment) run(ctx context.Context, rev *revision, event fleet.LifecycleEvent, s appspec.Script) error {
	fail := func(code Code, err error) error {
		return &failure{phase: Hook, event: event, script: s.Written, code: code, err: err}
	}
	path := filepath.Join(rev.dir, filepath.FromSlash(s.Location))
	info, err := rev.root.Stat(s.Location)
	if err != nil {
		return fail(ScriptMissing, said("Script does not exist at specified location: %s (%s)", path, s.Written))
	}
	if info.Mode()&0o111 == 0 {
		if err := rev.root.Chmod(s.Location, info.Mode().Perm()|0o111); err != nil {
			return fail(ScriptNotExecutable, said("Unable to set script at specified location: %s as executable: %w", s.Written, err))
		}
	}
	spec, err := d.command(event, s, path)
	if err != nil {
		return fail(ScriptFailed, err)
	}
	if err := d.log.say("Script - " + s.Written); err != nil {
		return fail(UnknownError, err)
	}
	d.result.Hooks = append(d.result.Hooks, string(event)+":"+s.Written)
	if err := os.WriteFile(d.state.runningFile(), []byte(spec.Mark), 0o600); err != nil {
		return fail(UnknownError, fmt.Errorf("write down what is run: %w", err))
	}
	res, err := process.Run(ctx, spec)
	_ = os.Remove(d.state.runningFile()) // then the next deployment looks for it in vain
	switch {
	case err != nil:
		code := ScriptFailed
		if errors.Is(err, process.ErrTime) {
			code = ScriptTimedOut
		}
		return fail(code, worded(spec, res, err))
	case res.Background:
		return fail(OutputsLeftOpen, said("Script at specified location: %s failed to close STDOUT or STDERR: "+
			"something that it started keeps them open; redirect its outputs, to /dev/null for one", spec.Name))
	}
	return nil
}

// command is how a script is run: by itself, or by su and sudo.
func (d *deployment) command(event fleet.LifecycleEvent, s appspec.Script, path string) (process.Spec, error) {
	mark := fmt.Sprintf("BRINE_HOOK=%s#%d", d.dir, len(d.result.Hooks))
	argv, name := []string{path}, s.Written
	if s.RunAs != "" {
		argv = []string{"su", s.RunAs, "-c", quote(path)}
		name += " run as user " + s.RunAs
	}
	if s.Sudo {
		argv = append([]string{"sudo"}, argv...)
	}
	if !filepath.IsAbs(argv[0]) {
		program, err := exec.LookPath(argv[0])
		if err != nil {
			return process.Spec{}, said("Script at specified location: %s failed with error: No such file or directory: %w", name, err)
		}
		argv[0] = program
	}
	return process.Spec{
		Name: name, Path: argv[0], Args: argv[1:], Env: d.environment(event, path, mark), Mark: mark,
		Timeout: s.Timeout, Settle: min(s.Timeout, longestSettle),
		Log: d.log.file, LogLimit: logLimit, Stamp: stamp, Split: true, Tail: 1,
		Output: func(l process.Line) {
			d.log.remember("[" + string(l.Stream) + "]" + l.Text)
		},
	}, nil
}

// quote makes one word of a path for a shell.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// worded says what went wrong in the agent's words.
func worded(spec process.Spec, res process.Result, err error) error {
	switch {
	case errors.Is(err, process.ErrFailed) && strings.Contains(err.Error(), " was killed by "):
		_, how, _ := strings.Cut(err.Error(), " was killed by ")
		return said("Script at specified location: %s failed with exit code %d: killed by %s", spec.Name, res.ExitCode, how)
	case errors.Is(err, process.ErrFailed) && res.ExitCode == cannotExecute && len(spec.Args) > 0:
		return fmt.Errorf("%w: the user may not reach it; each directory above it has to have the x bit for others", err)
	case errors.Is(err, process.ErrNotStarted) && errors.Is(err, fs.ErrNotExist):
		hint := "the interpreter of its first line does not exist"
		if crlf(spec.Path) {
			hint = "its first line ends in CR LF, so its interpreter is not found: save it with LF"
		}
		return said("Script at specified location: %s failed with error: No such file or directory: %s", spec.Name, hint)
	}
	return err
}

// crlf reports whether the first line of a script ends so.
func crlf(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read from
	start := make([]byte, 256)
	n, _ := f.Read(start)
	line, _, more := strings.Cut(string(start[:n]), "\n")
	return more && strings.HasPrefix(line, "#!") && strings.HasSuffix(line, "\r")
}

// environment is the caller's own, with what the agent adds, and what the minion's other scripts have. Later entries win
// over earlier ones.
func (d *deployment) environment(event fleet.LifecycleEvent, path, mark string) []string {
	root, _, _ := strings.Cut(path, string(filepath.Separator)+archiveDir+string(filepath.Separator))
	return append(os.Environ(),
		"APPLICATION_NAME="+d.options.Application,
		"DEPLOYMENT_ID="+d.result.Deployment,
		"DEPLOYMENT_GROUP_NAME="+d.options.GroupName,
		"DEPLOYMENT_GROUP_ID="+d.options.Group,
		"LIFECYCLE_EVENT="+string(event),
		"BRINE_APP="+d.options.Application,
		"BRINE_GROUP="+d.options.Group,
		"BRINE_DEPLOYMENT="+d.result.Deployment,
		"BRINE_EVENT="+string(event),
		"BRINE_RELEASE="+filepath.Join(root, archiveDir),
		mark,
	)
}
