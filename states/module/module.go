// Package module runs execution functions as states: Salt's module.run.
package module

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/yaml"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family {
	return state.Family{
		"run": {
			Doc: "Runs execution functions, each time. New form: arguments are functions with lists of their arguments " +
				"(service.restart: [{name: web}]). Old form: name is the function, others are its arguments; func and m_name stand for them.",
			Params: []string{"*"}, Run: run, Watch: run,
		},
		"wait": {Doc: "Runs execution functions when something that it watches has changed.", Params: []string{"*"}, Run: wait, Watch: run},
	}
}

func wait(context.Context, *state.Call) state.Result { return state.Result{Verdict: state.True} }

// call is one function with its arguments.
type call struct {
	name  string
	place []any
	named *data.Map
}

func run(ctx context.Context, c *state.Call) state.Result {
	calls := newForm(c)
	old := len(calls) == 0
	if old {
		calls = []call{oldForm(c)}
	}
	var missing []string
	for _, one := range calls {
		if _, ok := c.Host.Functions[one.name]; !ok {
			missing = append(missing, one.name)
		}
	}
	if len(missing) > 0 {
		known := slices.Sorted(maps.Keys(c.Host.Functions))
		comment := fmt.Sprintf("Unavailable function: %s.", strings.Join(missing, ", "))
		if near := yaml.Suggest(missing[0], known); near != "" {
			comment += " " + near
		}
		return args.Failed("%s", comment)
	}
	if c.Test {
		names := make([]string, len(calls))
		for i, one := range calls {
			names[i] = one.name
		}
		return args.Would(nil, "Function %s to be executed.", strings.Join(names, ", "))
	}
	changes := data.NewMap()
	var good, failed []string
	for _, one := range calls {
		out, err := modules.Call(ctx, c.Host.Env, one.name, one.place, one.named)
		switch {
		case err != nil:
			failed = append(failed, fmt.Sprintf("%s failed: %v", one.name, err))
		case out == false:
			failed = append(failed, fmt.Sprintf("%s: False", one.name))
			changes.Set(one.name, out)
		default:
			good = append(good, fmt.Sprintf("%s: %s", one.name, verdict(out)))
			changes.Set(one.name, out)
		}
	}
	if old && changes.Len() > 0 {
		out, _ := changes.Get(calls[0].name)
		changes = data.NewMap("ret", out)
	}
	if len(failed) > 0 {
		return state.Result{Comment: strings.Join(append(good, failed...), "\n"), Changes: changes}
	}
	if old {
		return args.Done(changes, "Module function %s executed", calls[0].name)
	}
	return args.Done(changes, "%s", strings.Join(good, "\n"))
}

func verdict(out any) string {
	switch out.(type) {
	case *data.Map, []any:
		return "Success"
	}
	return args.Text(out)
}

// newForm reads arguments that are functions.
func newForm(c *state.Call) (calls []call) {
	for k, v := range c.Args.All() {
		name := args.Text(k)
		if !strings.Contains(name, ".") {
			continue
		}
		one := call{name: name, named: data.NewMap()}
		list, ok := v.([]any)
		if !ok && v != nil {
			list = []any{v}
		}
		for _, arg := range list {
			m, isMap := arg.(*data.Map)
			if !isMap {
				one.place = append(one.place, arg)
				continue
			}
			for k, v := range m.All() {
				one.named.Set(k, v)
			}
		}
		calls = append(calls, one)
	}
	return calls
}

// oldForm reads a function's name with its arguments beside it.
func oldForm(c *state.Call) call {
	one := call{name: c.Name, named: data.NewMap()}
	for k, v := range c.Args.All() {
		switch name := args.Text(k); name {
		case "func", "fun":
			one.name = args.Text(v)
		case "args", "m_args":
			if list, ok := v.([]any); ok {
				one.place = append(one.place, list...)
			} else if v != nil {
				one.place = append(one.place, v)
			}
		case "kwargs", "m_kwargs":
			if m, ok := v.(*data.Map); ok {
				for k, v := range m.All() {
					one.named.Set(k, v)
				}
			}
		case "returner":
		default:
			one.named.Set(strings.TrimPrefix(name, "m_"), v)
		}
	}
	return one
}
