package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// command is one command line and how to run it.
type command struct {
	c              *state.Call
	line           string
	cwd, shell     string
	runas, group   string
	umask          string
	env            *data.Map
	clean          bool
	timeout        int64 // seconds; 0 is none
	ignoreTimeout  bool
	background     bool
	hide           bool
	codes          []string
	stdout, stderr []string // outputs that make a failure a success
	stateful       bool
	testName       string // runs instead with test=True
}

func read(c *state.Call) (*command, state.Result, bool) {
	a := args.Of(c)
	m := &command{
		c: c, line: c.Name, cwd: a.Text("cwd", ""), runas: a.Text("runas", ""), group: a.Text("group", ""),
		umask: a.Mode("umask"), clean: a.Bool("clean_env", false), timeout: a.Int("timeout", 0), ignoreTimeout: a.Bool("ignore_timeout", false),
		background: a.Bool("bg", false), hide: a.Bool("hide_output", false) || a.Text("output_loglevel", "") == "quiet" && a.Has("hide_output"),
		codes: a.List("success_retcodes"), stdout: a.List("success_stdout"), stderr: a.List("success_stderr"),
	}
	switch v := a.Get("shell").(type) {
	case string:
		m.shell = v
	case nil, bool:
	default:
		a.Wrong("shell: expected a path")
	}
	m.env = environment(a)
	m.readStateful(a)
	if paths := a.List("prepend_path"); len(paths) > 0 {
		path, ok := m.env.Get("PATH")
		if !ok {
			path = os.Getenv("PATH")
		}
		m.env.Set("PATH", strings.Join(append(paths, args.Text(path)), ":"))
	}
	res, bad := a.Bad()
	return m, res, bad
}

// environment reads env: a mapping, or a list of mappings and of NAME=VALUE.
func environment(a *args.Reader) *data.Map {
	env := data.NewMap()
	list, ok := a.Get("env").([]any)
	if !ok {
		for k, v := range a.Map("env").All() {
			env.Set(args.Text(k), v)
		}
		return env
	}
	for _, one := range list {
		switch one := one.(type) {
		case *data.Map:
			for k, v := range one.All() {
				env.Set(args.Text(k), v)
			}
		case string:
			name, value, ok := strings.Cut(one, "=")
			if !ok {
				a.Wrong("env: %q is not NAME=VALUE", one)
			}
			env.Set(name, value)
		default:
			a.Wrong("env: expected mappings and NAME=VALUE")
		}
	}
	for k, v := range env.All() {
		switch v.(type) {
		case *data.Map, []any:
			a.Wrong("env: the value of %s is no text", args.Text(k))
		}
	}
	return env
}

func (m *command) readStateful(a *args.Reader) {
	switch v := a.Get("stateful").(type) {
	case []any: // [{test_name: ...}]
		m.stateful = true
		for key, value := range a.Map("stateful").All() {
			if key == "test_name" {
				m.testName = args.Text(value)
			}
		}
	case *data.Map:
		m.stateful = true
		if name, ok := v.Get("test_name"); ok {
			m.testName = args.Text(name)
		}
	default:
		m.stateful = a.Bool("stateful", false)
	}
}

func runCommand(ctx context.Context, c *state.Call) state.Result {
	m, res, bad := read(c)
	if bad {
		return res
	}
	if c.Test && m.testName == "" {
		return m.would(c.Name)
	}
	if c.Test {
		m.line = m.testName
	}
	if problem := m.problem(); problem != "" {
		return args.Failed("%s", problem)
	}
	changes, ok := m.run(ctx, nil)
	return m.judge(changes, ok, fmt.Sprintf("Command %q run", raw(c.Name)))
}

// raw is a text that %q prints between quotes as it is.
type raw string

func (r raw) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(`"` + string(r) + `"`)) }

func (m *command) would(name string) state.Result {
	if m.stateful {
		return args.Would(nil, "")
	}
	return args.Would(data.NewMap("cmd", name), "Command %q would have been executed", raw(name))
}

func (m *command) problem() string {
	if m.cwd != "" {
		if info, err := os.Stat(m.cwd); err != nil || !info.IsDir() {
			return fmt.Sprintf("Desired working directory %q is not available", raw(m.cwd))
		}
	}
	return ""
}

// judge makes a result of what a command did.
func (m *command) judge(changes *data.Map, ok bool, comment string) state.Result {
	res := state.Result{Verdict: state.False, Changes: changes, Comment: comment}
	if ok {
		res.Verdict = state.True
	}
	if m.stateful {
		res = reinterpret(res)
	}
	if m.hide {
		res.Changes.Set("stdout", "")
		res.Changes.Set("stderr", "")
	}
	if m.c.Test && res.Verdict == state.True && res.Changes.Len() > 0 {
		res.Verdict = state.Pending
	}
	return res
}

// run runs the command line, or argv instead, and gives its output as changes.
func (m *command) run(ctx context.Context, argv []string) (changes *data.Map, ok bool) {
	if m.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(m.timeout)*time.Second)
		defer cancel()
	}
	cmd, err := m.command(ctx, argv)
	if err != nil {
		return data.NewMap("retcode", int64(1), "stdout", "", "stderr", err.Error()), false
	}
	if m.background {
		if err := m.start(cmd); err != nil {
			return data.NewMap("retcode", int64(1), "stdout", "", "stderr", err.Error()), false
		}
		return data.NewMap("pid", int64(cmd.Process.Pid), "retcode", nil, "stdout", "", "stderr", ""), true
	}
	out := tool.Finish(cmd)
	if m.timeout > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		said := fmt.Sprintf("%s : Timed out after %d seconds", m.line, m.timeout)
		return data.NewMap("retcode", int64(1), "stdout", said, "stderr", ""), m.ignoreTimeout
	}
	code := out.Code
	if code < 0 {
		code = 128
		if status, isUnix := cmd.ProcessState.Sys().(syscall.WaitStatus); isUnix && status.Signaled() {
			code = -int(status.Signal())
		}
	}
	stdout, stderr := strings.TrimRight(out.Stdout, "\r\n"), strings.TrimRight(out.Stderr, "\r\n")
	if slices.Contains(m.codes, strconv.Itoa(code)) || slices.Contains(m.stdout, stdout) && stdout != "" || slices.Contains(m.stderr, stderr) && stderr != "" {
		code = 0
	}
	return data.NewMap("retcode", int64(code), "stdout", stdout, "stderr", stderr), code == 0
}

// start leaves a command to itself.
func (m *command) start(cmd *exec.Cmd) error {
	cmd.Cancel = func() error { return nil } // it outlives the job
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	go func() { _ = cmd.Wait() }() // so that no zombie stays; it ends with its process
	return nil
}

// command makes the process: a shell with the line, or argv, as the user asked for, in a process group of its own.
func (m *command) command(ctx context.Context, argv []string) (*exec.Cmd, error) {
	line := m.line
	if m.umask != "" {
		line = "umask " + m.umask + "\n" + line
	}
	if len(argv) == 0 {
		argv = []string{m.shellPath(), "-c", line}
	} else if m.umask != "" {
		argv = slices.Concat([]string{"/bin/sh", "-c", "umask " + m.umask + `; exec "$0" "$@"`}, argv)
	}
	if m.background {
		ctx = context.WithoutCancel(ctx)
	}
	cmd := tool.On(m.c).Cmd(ctx, argv[0], argv[1:]...)
	cmd.Env = slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "LC_ALL=") || strings.HasPrefix(s, "LANGUAGE=") })
	if m.clean {
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	} else {
		cmd.Env = append(cmd.Env, "LC_CTYPE=C", "LANGUAGE=C", "LC_MESSAGES=C", "LC_NUMERIC=C", "LC_TIME=C", "LC_COLLATE=C")
	}
	cmd.Dir = m.cwd
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := m.become(ctx, cmd); err != nil {
		return nil, err
	}
	for k, v := range m.env.All() {
		if v == nil {
			v = ""
		}
		cmd.Env = append(cmd.Env, fmt.Sprint(k)+"="+args.Text(v))
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a grandchild may hold the output open
	return cmd, nil
}

func (m *command) shellPath() string {
	if m.shell != "" {
		return m.shell
	}
	if shell, _ := m.c.Host.Grains.Get("shell"); shell != nil {
		if text, _ := shell.(string); strings.HasPrefix(text, "/") {
			if info, err := os.Stat(text); err == nil && info.Mode()&0o111 != 0 {
				return text
			}
		}
	}
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// become makes the command that of another user, in his home unless cwd is given.
func (m *command) become(ctx context.Context, cmd *exec.Cmd) error {
	if m.runas == "" && m.group == "" {
		if cmd.Dir == "" {
			cmd.Dir, _ = os.UserHomeDir()
		}
		return nil
	}
	var db account.DB
	cred := &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())} //nolint:gosec // ids are not negative
	if m.runas != "" {
		u, ok := db.User(ctx, m.runas)
		if !ok {
			return fmt.Errorf("User '%s' is not available", m.runas) //nolint:staticcheck // Salt's words
		}
		cred.Uid, cred.Gid = uint32(u.UID), uint32(u.GID) //nolint:gosec // as above
		for _, name := range db.GroupsOf(u.Name) {
			if gid, ok := db.GID(ctx, name); ok {
				cred.Groups = append(cred.Groups, uint32(gid)) //nolint:gosec // as above
			}
		}
		cmd.Env = append(cmd.Env, "HOME="+u.Home, "USER="+u.Name, "LOGNAME="+u.Name, "SHELL="+u.Shell)
		if cmd.Dir == "" {
			cmd.Dir = u.Home
			if _, err := os.Stat(u.Home); err != nil {
				cmd.Dir = "/"
			}
		}
	}
	if m.group != "" {
		gid, ok := db.GID(ctx, m.group)
		if !ok {
			return fmt.Errorf("The group %s is not available", m.group) //nolint:staticcheck // Salt's words
		}
		cred.Gid = uint32(gid) //nolint:gosec // as above
	}
	if cred.Uid != uint32(os.Geteuid()) || cred.Gid != uint32(os.Getegid()) { //nolint:gosec // as above
		cmd.SysProcAttr.Credential = cred
	}
	return nil
}
