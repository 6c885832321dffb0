package modules

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
)

// shellParam says that a command goes through a shell.
const shellParam = "python_shell"

func cmdParams() []string {
	return []string{
		"cmd", "cwd", "stdin", "runas", "shell", shellParam, "env", "clean_env", "rstrip", "timeout", "ignore_retcode",
		"raise_err", "redirect_stderr", "output_loglevel", "hide_output", "saltenv",
	}
}

const cmdDoc = `
cmd: the command line, or a list of words; cwd; stdin; runas: a user; env: a mapping, or a list of mappings; clean_env; timeout
in seconds; python_shell: give it to the shell (people's commands are, templates' are split into words); shell: which one
(/bin/sh)`

func cmdFamily() map[string]Function {
	return map[string]Function{
		"cmd.run":        {Doc: "What a command says on both its outputs." + cmdDoc + "; raise_err: an exit code is an error\n  cmd.run uptime", Params: cmdParams(), Changes: true, Run: cmdRun},
		"cmd.run_stdout": {Doc: "What a command says on its output." + cmdDoc + "\n  cmd.run_stdout uptime", Params: cmdParams(), Changes: true, Run: cmdPart(func(o Output) any { return o.Stdout })},
		"cmd.run_stderr": {Doc: "What a command says on its error output." + cmdDoc + "\n  cmd.run_stderr 'ls /nothing'", Params: cmdParams(), Changes: true, Run: cmdPart(func(o Output) any { return o.Stderr })},
		"cmd.retcode":    {Doc: "The exit code of a command." + cmdDoc + "\n  cmd.retcode 'test -e /etc/hosts'", Params: cmdParams(), Changes: true, Run: cmdPart(func(o Output) any { return int64(o.Code) })},
		"cmd.run_all": {
			Doc: "The outputs, exit code and process id of a command." + cmdDoc + "; redirect_stderr\n  cmd.run_all uptime", Params: cmdParams(), Changes: true,
			Run: cmdPart(func(o Output) any {
				return data.NewMap("pid", int64(o.PID), "retcode", int64(o.Code), "stdout", o.Stdout, "stderr", o.Stderr)
			}),
		},
		"cmd.shell": {
			Doc: "What a shell's command says on both its outputs." + cmdDoc + "\n  cmd.shell 'ls | wc -l'", Params: cmdParams(), Changes: true,
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				return cmdRun(ctx, env, data.Merge(args, data.NewMap(shellParam, true), data.Overwrite, false))
			},
		},
		"cmd.which": {
			Doc: "Where a program is on the path; null when it is not.\ncmd\n  cmd.which git", Params: []string{"cmd"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				if found, ok := which(stringArg(args, "cmd", "")); ok {
					return found, nil
				}
				return nil, nil
			},
		},
		"cmd.which_bin": {
			Doc: "Where the first of some programs is that is on the path; null when none is.\ncmds: a list\n  cmd.which_bin '[git, svn]'", Params: []string{"cmds"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				for _, name := range texts(arg(args, "cmds", nil)) {
					if found, ok := which(name); ok {
						return found, nil
					}
				}
				return nil, nil
			},
		},
		"cmd.has_exec": {
			Doc: "Whether a program is on the path.\ncmd\n  cmd.has_exec git", Params: []string{"cmd"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				_, ok := which(stringArg(args, "cmd", ""))
				return ok, nil
			},
		},
	}
}

func which(name string) (string, bool) {
	found, err := exec.LookPath(name)
	return found, err == nil
}

func cmdRun(ctx context.Context, _ *Env, args *data.Map) (any, error) {
	out, err := RunCommand(ctx, args, true)
	if err == nil && out.Code != 0 && flagArg(args, "raise_err", false) {
		err = fmt.Errorf("exit code %d: %s", out.Code, out.Stdout)
	}
	return out.Stdout, err
}

func cmdPart(part func(Output) any) func(context.Context, *Env, *data.Map) (any, error) {
	return func(ctx context.Context, _ *Env, args *data.Map) (any, error) {
		out, err := RunCommand(ctx, args, flagArg(args, "redirect_stderr", false))
		if err != nil {
			return nil, err
		}
		return part(out), nil
	}
}

// errTimeout is the cause when a command's own limit has passed.
var errTimeout = errors.New("timed out")

// RunCommand runs what the arguments of cmd.run and its like say; merge puts both outputs into one. A command that its own
// timeout ends is no error: as in Salt its output says so, and its code is 1.
func RunCommand(ctx context.Context, args *data.Map, merge bool) (Output, error) {
	c, err := command(args)
	if err != nil {
		return Output{}, err
	}
	c.Merge = merge
	limit, err := intArg(args, "timeout", 0)
	if err != nil {
		return Output{}, err
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(limit)*time.Second, errTimeout)
		defer cancel()
	}
	out, err := c.Run(ctx)
	if errors.Is(err, errTimeout) {
		out.Code, err = 1, nil
		out.Stdout = strings.TrimLeft(fmt.Sprintf("%s\n%s : Timed out after %d seconds", out.Stdout, stringArg(args, "cmd", ""), limit), "\n")
	}
	if flagArg(args, "rstrip", true) {
		out.Stdout, out.Stderr = strings.TrimSpace("|" + out.Stdout)[1:], strings.TrimSpace("|" + out.Stderr)[1:]
	}
	return out, err
}

func command(args *data.Map) (Command, error) {
	c := Command{
		Dir: stringArg(args, "cwd", ""), RunAs: stringArg(args, "runas", ""), Stdin: stringArg(args, "stdin", ""),
		Clean: flagArg(args, "clean_env", false),
	}
	env, err := environment(arg(args, "env", nil))
	if err != nil {
		return c, err
	}
	c.Env = env
	line := arg(args, "cmd", nil)
	if words, ok := line.([]any); ok {
		c.Args = texts(words)
	} else {
		text := stringArg(args, "cmd", "")
		if strings.TrimSpace(text) == "" {
			return c, fmt.Errorf("%w: cmd must be given, for example: cmd.run 'uptime'", ErrArguments)
		}
		if flagArg(args, shellParam, false) {
			c.Args = []string{stringArg(args, "shell", "/bin/sh"), "-c", text}
		} else if c.Args, err = shellWords(text); err != nil {
			return c, err
		}
	}
	if len(c.Args) == 0 {
		return c, fmt.Errorf("%w: the command is empty", ErrArguments)
	}
	return c, nil
}

// environment reads a mapping, a list of mappings, or a list of NAME=value.
func environment(v any) ([]string, error) {
	var env []string
	switch v := v.(type) {
	case nil:
	case *data.Map:
		for name, value := range v.All() {
			text := Text(value)
			if value == nil || value == false {
				text = ""
			}
			env = append(env, Text(name)+"="+text)
		}
	case []any:
		for _, one := range v {
			more, err := environment(one)
			if err != nil {
				return nil, err
			}
			env = append(env, more...)
		}
	default:
		if text := Text(v); strings.Contains(text, "=") {
			return []string{text}, nil
		}
		return nil, fmt.Errorf("%w: env must be a mapping or a list of mappings", ErrArguments)
	}
	return env, nil
}
