package run

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/yaml"
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/state"
)

// internal are the arguments that are the engine's; a function gets one only when its Params name it.
var internal = []string{
	"onchanges", "onchanges_any", "onfail", "onfail_any", "onfail_all", "onfail_stop", "prereq", "prerequired", "watch",
	"watch_any", "require", "require_any", "listen", "onchanges_in", "onfail_in", "prereq_in", "watch_in", "require_in",
	"listen_in", "use", "use_in", "check_cmd", "cmd_opts_exclude", "failhard", "onlyif", "unless", "creates", "retry",
	"order", "parallel", "reload_modules", "reload_grains", "reload_pillar", "runas", "runas_password", "fire_event",
	"saltenv", "umask", "aggregate", "name_order", "provider",
}

// own are the arguments of a chunk that are its function's.
func own(c *compile.Chunk, params []string) *data.Map {
	out := &data.Map{}
	for k, v := range c.Args.All() {
		name, _ := k.(string)
		if strings.HasPrefix(name, "__") || slices.Contains(internal, name) && (name == "umask" || !slices.Contains(params, name)) {
			continue
		}
		out.Set(k, v)
	}
	return out
}

// result begins the result of a chunk.
func (r *Runner) result(c *chunk, v state.Verdict, reason, comment string) *Result {
	fun := c.Fun
	if c.watched {
		fun = "mod_watch"
	}
	return &Result{
		Result: state.Result{Verdict: v, Reason: reason, Comment: comment},
		ID:     c.ID, SLS: c.SLS, State: c.State, Fun: fun, Name: c.Name,
		Start: time.Now(), number: r.next(), ran: true,
	}
}

// call calls a state: its guards, its function, its checks, and again where it asks for that. A parallel one goes on by
// itself until its done is closed.
func (r *Runner) call(ctx context.Context, c *chunk) *Result {
	f, bad := r.function(c)
	if bad != nil {
		return bad
	}
	var res *Result
	if c.prereq { // a look only, which is no run of its own
		res = &Result{ID: c.ID, SLS: c.SLS, State: c.State, Fun: c.Fun, Name: c.Name, Start: time.Now(), ran: true}
	} else {
		res = r.result(c, state.False, "", "")
	}
	frozen := *c // what a parallel state sees does not change under it
	once := func() { r.attempts(ctx, &frozen, f, res) }
	if parallel, _ := c.Args.Get("parallel"); modules.Truth(parallel) && !c.prereq {
		res.done = make(chan struct{})
		go func() {
			defer close(res.done)
			once()
		}()
		return res
	}
	defer umask(c)()
	once()
	return res
}

// umask sets the process's umask as a state asks for, and gives what sets it back.
func umask(c *chunk) (restore func()) {
	v, _ := c.Args.Get("umask")
	mask, err := strconv.ParseUint(modules.Text(v), 8, 12)
	if v == nil || err != nil {
		return func() {}
	}
	before := syscall.Umask(int(mask))
	return func() { syscall.Umask(before) }
}

// function finds what a chunk calls; bad is the result when there is no such function.
func (r *Runner) function(c *chunk) (f state.Function, bad *Result) {
	if c.BadName != nil {
		return f, r.result(c, state.False, BadArguments, fmt.Sprintf("ID '%s' in SLS '%s' is not formed as a string", modules.Text(c.BadName), c.SLS))
	}
	f, ok := r.Families[c.State][c.Fun]
	if ok && (!c.watched || f.Watch != nil) {
		return f, nil
	}
	if c.watched {
		return f, r.result(c, state.False, NoSuchFunction, fmt.Sprintf("State '%s.mod_watch' was not found in SLS '%s'", c.State, c.SLS))
	}
	e := unknown(r.Families, c.Chunk)
	comment := e.Message
	if place := e.Place(); place != "" {
		comment += " (" + place + ")"
	}
	return f, r.result(c, state.False, NoSuchFunction, comment)
}

// unknown is the complaint about a chunk whose function is none.
func unknown(families map[string]state.Family, c *compile.Chunk) *compile.Error {
	full := c.State + "." + c.Fun
	text := fmt.Sprintf("State '%s' was not found", full)
	if c.SLS != "" {
		text += fmt.Sprintf(" in SLS '%s'", c.SLS)
	}
	if near := yaml.Nearest(full, known(families)); near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	return c.Wrong(compile.UnknownFunction, "", "%s", text)
}

// Check tells of states and arguments that are unknown. Salt finds the first when it calls them, and passes over the
// others; so does a Runner.
func Check(families map[string]state.Family, chunks []*compile.Chunk) error {
	var all compile.Errors
	for _, c := range chunks {
		f, ok := families[c.State][c.Fun]
		if !ok {
			all = append(all, unknown(families, c))
			continue
		}
		all = append(all, strangers(c, f, own(c, f.Params))...)
	}
	if all == nil {
		return nil
	}
	return all
}

// known are the names of all states.
func known(families map[string]state.Family) (all []string) {
	for family, functions := range families {
		for name := range functions {
			all = append(all, family+"."+name)
		}
	}
	slices.Sort(all)
	return all
}

// attempts makes the state true, and tries again as its retry says.
func (r *Runner) attempts(ctx context.Context, c *chunk, f state.Function, res *Result) {
	started := time.Now()
	r.attempt(ctx, c, f, res)
	defer func() { res.Start, res.Duration = started, time.Since(started) }()
	v, given := c.Args.Get("retry")
	if !given || c.prereq {
		return
	}
	retry := readRetry(v)
	if r.Test {
		res.Comment += "  " + retry.String()
		return
	}
	var before []string
	for n := 1; retry.again(n, res.Verdict) && retry.wait(ctx); n++ {
		before = append(before, fmt.Sprintf("Attempt %d: Returned a result of \"%s\", with the following comment: %q", n, modules.Text(Value(res.Verdict)), res.Comment))
		res.Result, res.skipWatch = state.Result{}, false
		r.attempt(ctx, c, f, res)
	}
	if before != nil {
		res.Comment = strings.Join(append(before, res.Comment), "\n")
	}
}

// attempt calls a state once.
func (r *Runner) attempt(ctx context.Context, c *chunk, f state.Function, res *Result) {
	defer func() {
		if v := recover(); v != nil {
			res.Result = state.Result{Reason: Exception, Comment: fmt.Sprintf("An exception occurred in this state: %v", v)}
			log := cmp.Or(r.Host.Log, slog.New(slog.DiscardHandler))
			log.ErrorContext(ctx, "a state panicked", "state", c.State+"."+c.Fun, "id", c.ID, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	guard := r.guards(ctx, c)
	if guard.skip {
		res.Result = state.Result{Verdict: state.True, Comment: guard.comment, Reason: guard.reason}
		res.skipWatch = true
	} else {
		r.run(ctx, c, f, res)
	}
	if _, ok := c.Args.Get("check_cmd"); ok && !slices.Contains(f.Params, "check_cmd") {
		r.checkCmd(ctx, c, res)
	}
	switch {
	case res.Verdict == state.Pending && res.Reason == "":
		res.Reason = TestMode
	case res.Verdict == state.False && res.Reason == "":
		res.Reason = StateFailed
	}
}

func (r *Runner) run(ctx context.Context, c *chunk, f state.Function, res *Result) {
	args := own(c.Chunk, f.Params)
	args, err := r.slots(ctx, args)
	if err != nil {
		res.Result = state.Result{Reason: Exception, Comment: err.Error()}
		return
	}
	call := &state.Call{
		ID: c.ID, SLS: c.SLS, Name: c.Name, Args: args, Test: r.Test || c.prereq, Host: r.host(c), Requires: c.required(),
	}
	function := f.Run
	if c.watched {
		function = f.Watch
	}
	res.Result = function(ctx, call)
	for _, e := range strangers(c.Chunk, f, args) {
		res.Warnings = append(res.Warnings, strings.TrimPrefix(e.Place()+": ", ": ")+e.Message)
	}
}

// host is the host as a chunk sees it: files come from its environment.
func (r *Runner) host(c *chunk) *state.Host {
	env := c.Env
	if v, ok := c.Args.Get("saltenv"); ok {
		env = modules.Text(v)
	}
	if env == "" || env == r.Host.Saltenv {
		return r.Host
	}
	host, own := *r.Host, *r.Host.Env
	own.Saltenv = env
	host.Env = &own
	return &host
}

// strangers tells of arguments that the function does not know.
func strangers(c *compile.Chunk, f state.Function, args *data.Map) (all []*compile.Error) {
	if slices.Contains(f.Params, "*") {
		return nil
	}
	for k := range args.All() {
		name, _ := k.(string)
		if slices.Contains(f.Params, name) || name == "name" {
			continue
		}
		text := fmt.Sprintf("'%s' is an invalid keyword argument for '%s.%s'", name, c.State, c.Fun)
		if near := yaml.Suggest(name, f.Params); near != "" {
			text += "; " + near
		}
		all = append(all, c.Wrong(compile.UnknownArgument, name, "%s", text))
	}
	return all
}
