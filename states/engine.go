package states

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"sync"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/run"
	"github.com/brine-deploy/brine/states/state"
)

// The exit codes of Salt's minions.
const (
	CodeDone    = 0
	CodeCompile = 1 // nothing ran: what the files say is wrong
	CodeFailed  = 2 // some state failed, or there was none
	CodePillar  = 5 // nothing ran: the pillar could not be compiled
)

// Engine applies states to this host. Its functions may be called concurrently: those that apply wait for each other.
type Engine struct {
	// Env is the minion as it is known before a call; its Functions may hold those of Functions.
	Env      *modules.Env
	Families map[string]state.Family // All
	// Pillar compiles the minion's pillar with what was given with the call, which may be nil. The error, when it is
	// compile.Errors, says what is wrong with it. When Pillar is nil, it is Env's.
	Pillar  func(ctx context.Context, override *data.Map) (*data.Map, error)
	Command func(ctx context.Context, name string, args ...string) *exec.Cmd
	Release func(ctx context.Context, app, group string, test bool) state.Result

	applying sync.Mutex
}

// Answer is what came of one function.
type Answer struct {
	Code    int            // for the exit status, as Salt's
	Applied bool           // States say what was done; else Return is the answer
	States  []*run.Result  // in the order in which they ran
	Errors  compile.Errors // why nothing ran
	Return  any            // of functions that apply nothing; a value of package data
}

// OK reports whether all went well.
func (a *Answer) OK() bool { return a.Code == CodeDone }

// Data gives the answer in Salt's form: results by tag, a list of complaints, or what the function returned.
func (a *Answer) Data() any {
	switch {
	case len(a.Errors) > 0:
		list := make([]any, len(a.Errors))
		for i, e := range a.Errors {
			list[i] = e.Error()
		}
		return list
	case !a.Applied:
		return a.Return
	}
	out := &data.Map{}
	for _, s := range a.States {
		out.Set(s.State+"_|-"+s.ID+"_|-"+s.Name+"_|-"+s.Fun, s.Data())
	}
	return out
}

// function is one of state.*.
type function struct {
	doc     string
	params  []string // by place
	changes bool
	run     func(*Engine, context.Context, *data.Map) (*Answer, error)
}

// options are what functions that compile take by name, too.
var options = []string{"test", "pillar", "saltenv", "exclude", "queue", "concurrent", "pillarenv", "force"}

const optionsDoc = `
test: change nothing, say what would be; pillar: more pillar, for this call; saltenv: the environment; exclude: SLS names to leave
out; queue: accepted, because calls wait for each other anyway`

func functions() map[string]function {
	return map[string]function{
		"state.apply":          {"Apply SLS files, or the highstate without any.\nmods: names, with commas between" + optionsDoc + "\n  state.apply web,db test=True", []string{"mods"}, true, (*Engine).apply},
		"state.sls":            {"Apply SLS files.\nmods: names, with commas between" + optionsDoc + "\n  state.sls web", []string{"mods"}, true, (*Engine).sls},
		"state.test":           {"Say what applying SLS files would change.\nmods" + optionsDoc + "\n  state.test web", []string{"mods"}, true, (*Engine).test},
		"state.highstate":      {"Apply all that top files say." + optionsDoc + "\n  state.highstate", nil, true, (*Engine).highstate},
		"state.single":         {"Make one state true.\nfun: file.managed and the like; name; its arguments by name" + optionsDoc + "\n  state.single pkg.installed name=vim", []string{"fun", "name", "*"}, true, (*Engine).single},
		"state.sls_id":         {"Apply one ID of SLS files, and what it requires.\nid; mods" + optionsDoc + "\n  state.sls_id nginx web", []string{"id", "mods"}, true, (*Engine).slsID},
		"state.show_sls":       {"What SLS files declare, rendered.\nmods" + optionsDoc + "\n  state.show_sls web", []string{"mods"}, false, (*Engine).showSLS},
		"state.show_low_sls":   {"The states that SLS files come to, in order.\nmods" + optionsDoc + "\n  state.show_low_sls web", []string{"mods"}, false, (*Engine).showLowSLS},
		"state.show_top":       {"What top files give this minion.\n  state.show_top", nil, false, (*Engine).showTop},
		"state.show_states":    {"All SLS files that the highstate is made of.\n  state.show_states", nil, false, (*Engine).showStates},
		"state.show_highstate": {"What the highstate declares.\n  state.show_highstate", nil, false, (*Engine).showHighstate},
		"state.show_lowstate":  {"The states that the highstate comes to, in order.\n  state.show_lowstate", nil, false, (*Engine).showLowstate},
	}
}

// Names lists what Call can call, sorted.
func Names() []string { return slices.Sorted(maps.Keys(functions())) }

// Call calls a function of state.* with arguments by place and by name. The error is for what is no answer: an unknown
// function, wrong arguments, or the context's end.
func (e *Engine) Call(ctx context.Context, name string, args []any, named *data.Map) (*Answer, error) {
	f, ok := functions()[name]
	if !ok {
		return nil, fmt.Errorf("%w %s; known: %v", modules.ErrUnknown, name, Names())
	}
	table := map[string]modules.Function{name: {Params: f.all(), Run: func(ctx context.Context, _ *modules.Env, bound *data.Map) (any, error) {
		return f.run(e, ctx, bound)
	}}}
	got, err := modules.Call(ctx, &modules.Env{Functions: table}, name, args, named)
	if err != nil {
		return nil, err
	}
	answer, _ := got.(*Answer)
	return answer, nil
}

// all are the parameters, those that take any others last.
func (f function) all() []string {
	if n := len(f.params); n > 0 && f.params[n-1] == "*" {
		return slices.Concat(f.params[:n-1], options, []string{"*"})
	}
	return slices.Concat(f.params, options)
}

// Functions gives the functions for the table that people and templates call. An answer is in Salt's form.
func (e *Engine) Functions() map[string]modules.Function {
	out := map[string]modules.Function{}
	for name, f := range functions() {
		out[name] = modules.Function{
			Doc: f.doc, Params: f.all(), Changes: f.changes,
			Run: func(ctx context.Context, _ *modules.Env, args *data.Map) (any, error) {
				answer, err := f.run(e, ctx, args)
				if err != nil {
					return nil, err
				}
				return answer.Data(), nil
			},
		}
	}
	return out
}

// call is one function's call with what it was told.
type call struct {
	*Engine
	env     *modules.Env
	args    *data.Map
	test    bool
	saltenv string // "" unless told
}

// begin reads the common options and compiles the pillar. When the pillar is wrong, that is the answer.
func (e *Engine) begin(ctx context.Context, args *data.Map) (*call, *Answer, error) {
	env := *e.Env
	c := &call{Engine: e, env: &env, args: args}
	test, told := args.Get("test")
	if !told {
		test, _ = env.Opts.Get("test")
	}
	c.test = modules.Truth(test)
	env.Opts = data.Merge(env.Opts, data.NewMap("test", c.test), data.Overwrite, false)
	if v, _ := args.Get("saltenv"); v != nil {
		c.saltenv = modules.Text(v)
		env.Saltenv = c.saltenv
	} else if v, _ := env.Opts.Get("saltenv"); v != nil {
		c.saltenv = modules.Text(v)
	}
	if env.Saltenv == "" {
		env.Saltenv = "base"
	}
	given, _ := args.Get("pillar")
	if text, ok := given.(string); ok { // lines that a shell passed on, say
		if n, err := yaml.Salt("pillar", []byte(text)); err == nil {
			given = n.Data()
		}
	}
	override, isMap := given.(*data.Map)
	if given != nil && !isMap {
		return nil, nil, fmt.Errorf("%w: pillar is a mapping, such as '{key: value}'", modules.ErrArguments)
	}
	if e.Pillar == nil {
		env.Pillar = data.Merge(env.Pillar, override, data.Recurse, false)
		return c, nil, nil
	}
	pillar, err := e.Pillar(ctx, override)
	var bad compile.Errors
	switch {
	case errors.As(err, &bad):
		return nil, &Answer{Code: CodePillar, Errors: bad}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("compile pillar: %w", err)
	}
	env.Pillar = pillar
	return c, nil, nil
}

func (c *call) source() compile.Source { return source{c.env} }

// runner makes what calls states.
func (c *call) runner() *run.Runner {
	renderer := &render.Renderer{Env: c.env}
	failhard, _ := c.env.Opts.Get("failhard")
	return &run.Runner{
		Families: c.Families, Test: c.test, Failhard: modules.Truth(failhard),
		Host: &state.Host{
			Env: c.env, Command: c.Command, Release: c.Release,
			Render: func(ctx context.Context, name, text, engine string, extra *data.Map) (string, error) {
				if engine != "" && engine != "jinja" {
					return "", fmt.Errorf("render %s: there is no template engine %q; known: jinja", name, engine)
				}
				return renderer.Text(ctx, render.Source{File: name, Text: text, Saltenv: c.env.Saltenv}, extra)
			},
		},
	}
}

// top gives what top files say of this minion.
func (c *call) top(ctx context.Context) (compile.Mods, error) {
	envs, err := c.env.Files.Environments(ctx)
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	slices.SortFunc(envs, func(a, b string) int { // base first
		switch {
		case a == b:
			return 0
		case a == "base":
			return -1
		case b == "base" || a > b:
			return 1
		}
		return -1
	})
	text := func(name string) string {
		v, _ := c.env.Opts.Get(name)
		if v == nil {
			return ""
		}
		return modules.Text(v)
	}
	nodegroups, _ := c.env.Opts.Get("nodegroups")
	groups, _ := data.Plain(nodegroups).(map[string]any)
	grains, _ := data.Plain(c.env.Grains).(map[string]any)
	pillar, _ := data.Plain(c.env.Pillar).(map[string]any)
	return compile.Top(ctx, c.source(), compile.TopOptions{
		Name: topName(text("state_top")), Saltenv: c.saltenv, Envs: envs, Strategy: text("top_file_merging_strategy"), DefaultTop: text("default_top"),
		Subject:    target.Subject{ID: fleet.MinionID(c.env.ID), Grains: grains, Pillar: pillar},
		Nodegroups: groups,
	})
}
