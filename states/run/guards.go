package run

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/state"
)

// verdict is what onlyif, unless and creates say of a state.
type verdict struct {
	skip    bool
	reason  string
	comment string
}

// guards asks onlyif, unless and creates, in this order; one is enough to skip the state.
func (r *Runner) guards(ctx context.Context, c *chunk) (all verdict) {
	var comments []string
	for _, g := range []struct {
		arg string
		ask func(context.Context, *chunk, any) verdict
	}{{"onlyif", r.onlyif}, {"unless", r.unless}, {"creates", creates}} {
		v, given := c.Args.Get(g.arg)
		if !given {
			continue
		}
		said := g.ask(ctx, c, v)
		comments = append(comments, said.comment)
		if said.skip && !all.skip {
			all.skip, all.reason = true, said.reason
		}
	}
	all.comment = strings.Join(comments, "\n")
	return all
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// onlyif skips when one condition is false. What is no condition ends the list, as in Salt.
func (r *Runner) onlyif(ctx context.Context, c *chunk, v any) verdict {
	for _, entry := range listOf(v) {
		switch yes, err := r.condition(ctx, c, entry); {
		case err != nil:
			return verdict{comment: "onlyif execution failed: " + err.Error()}
		case !yes:
			return verdict{skip: true, reason: OnlyifFalse, comment: "onlyif condition is false"}
		}
	}
	return verdict{comment: "onlyif condition is true"}
}

// unless skips when all conditions are true.
func (r *Runner) unless(ctx context.Context, c *chunk, v any) verdict {
	said := verdict{comment: "unless condition is false"}
	for _, entry := range listOf(v) {
		switch yes, err := r.condition(ctx, c, entry); {
		case err != nil:
			said = verdict{comment: "unless condition is false: " + err.Error()}
		case !yes:
			return verdict{comment: "unless condition is false"}
		default:
			said = verdict{skip: true, reason: UnlessTrue, comment: "unless condition is true"}
		}
	}
	return said
}

// condition asks a command, or {fun: FUNCTION, ...}.
func (r *Runner) condition(ctx context.Context, c *chunk, entry any) (bool, error) {
	switch entry := entry.(type) {
	case string:
		code, err := r.retcode(ctx, c, entry)
		return code == 0 && err == nil, nil
	case *data.Map:
		return r.ask(ctx, entry)
	}
	return false, fmt.Errorf("bad type passed: %s is neither a command nor a mapping with fun", modules.Text(entry))
}

// ask calls an execution function; what it gives is true or false as in Python.
func (r *Runner) ask(ctx context.Context, entry *data.Map) (bool, error) {
	named, _ := data.Copy(entry).(*data.Map)
	fun, ok := named.Get("fun")
	if !ok {
		return false, fmt.Errorf("no `fun` argument in %s", modules.Text(entry))
	}
	args, _ := named.Get("args")
	path, _ := named.Get("get_return")
	for _, key := range []string{"fun", "args", "get_return"} {
		named.Delete(key)
	}
	list, _ := args.([]any)
	named, err := r.slots(ctx, named)
	if err != nil {
		return false, err
	}
	got, err := modules.Call(ctx, r.Host.Env, modules.Text(fun), list, named)
	if err != nil {
		panic(err) // as in Salt, the state fails
	}
	if path != nil {
		got, _ = data.Traverse(got, modules.Text(path), ":")
	}
	return modules.Truth(got), nil
}

// commandArgs are the arguments of a state that its conditions' commands take over.
var commandArgs = []string{"cwd", "root", "runas", "env", "prepend_path", "umask", "timeout", "success_retcodes", "shell"}

// retcode runs a condition's command in a shell.
func (r *Runner) retcode(ctx context.Context, c *chunk, line string) (int, error) {
	args := data.NewMap("cmd", line, "python_shell", true, "ignore_retcode", true)
	var without []any
	if v, ok := c.Args.Get("cmd_opts_exclude"); ok {
		without = listOf(v)
	}
	for _, name := range commandArgs {
		if v, _ := c.Args.Get(name); v != nil && !slices.Contains(without, any(name)) {
			args.Set(name, v)
		}
	}
	r.shell(args, slices.Contains(without, any("shell")))
	out, err := modules.RunCommand(ctx, args, false)
	if codes, ok := c.Args.Get("success_retcodes"); ok && err == nil && slices.Contains(listOf(codes), any(int64(out.Code))) {
		return 0, nil
	}
	return out.Code, err
}

// shell lets a command use the shell that the grains name, unless it has one.
func (r *Runner) shell(args *data.Map, without bool) {
	_, given := args.Get("shell")
	if shell, _ := r.Host.Grains.Get("shell"); shell != nil && !given && !without {
		args.Set("shell", shell)
	}
}

func creates(_ context.Context, _ *chunk, v any) verdict {
	paths, isList := v.([]any)
	if !isList {
		path := modules.Text(v)
		if exists(path) {
			return verdict{skip: true, reason: CreatesExists, comment: path + " exists"}
		}
	} else if !slices.ContainsFunc(paths, func(p any) bool { return !exists(modules.Text(p)) }) {
		return verdict{skip: true, reason: CreatesExists, comment: "All files in creates exist"}
	}
	return verdict{comment: "Creates files not found"}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checkCmd lets commands say whether the state succeeded, whatever it said itself.
func (r *Runner) checkCmd(ctx context.Context, c *chunk, res *Result) {
	v, _ := c.Args.Get("check_cmd")
	for _, line := range listOf(v) {
		args := data.NewMap("cmd", modules.Text(line), "python_shell", true)
		r.shell(args, false)
		if out, err := modules.RunCommand(ctx, args, false); err != nil || out.Code != 0 {
			res.Verdict, res.Reason, res.Comment = state.False, CheckCmdFailed, "check_cmd determined the state failed"
			return
		}
	}
	res.Verdict, res.Reason, res.Comment = state.True, "", "check_cmd determined the state succeeded"
}
