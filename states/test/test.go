// Package test is the state family test: states that do nothing and say what they are told to, for trying out requisites.
package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/state"
)

// States gives the functions of the family.
func States() state.Family {
	return state.Family{
		"nop":                     {Doc: "Succeed and change nothing.", Params: []string{"comment", "*"}, Run: succeed, Watch: watch},
		"succeed_without_changes": {Doc: "Succeed and change nothing.", Params: []string{"comment", "*"}, Run: succeed, Watch: watch},
		"fail_without_changes":    {Doc: "Fail and change nothing.", Params: []string{"comment", "*"}, Run: fail, Watch: watch},
		"succeed_with_changes":    {Doc: "Succeed and pretend a change.", Params: []string{"comment", "*"}, Run: changing(state.True, "successful", "Success!"), Watch: watch},
		"fail_with_changes":       {Doc: "Fail and pretend a change.", Params: []string{"comment", "*"}, Run: changing(state.False, "failed", "Failure!"), Watch: watch},
		"configurable_test_state": {
			Doc:    "Do as told.\nchanges: True, False or Random\nresult: True, False or Random\ncomment\nwarnings: a text or a list of them",
			Params: []string{"changes", "result", "comment", "warnings", "allow_test_mode_failure"}, Run: configurable, Watch: watch,
		},
		"show_notification": {Doc: "Show a text.\ntext", Params: []string{"text", "*"}, Run: notification, Watch: watch},
		"check_pillar": {
			Doc: "Fail unless pillar has what is asked for.\npresent, boolean, integer, string, listing, dictionary: keys",
			Params: []string{
				"present", "boolean", "integer", "string", "listing", "dictionary", "verbose",
			}, Run: checkPillar, Watch: watch,
		},
	}
}

func comment(c *state.Call, otherwise string) string {
	if v, ok := c.Args.Get("comment"); ok {
		return modules.Text(v)
	}
	return otherwise
}

func succeed(_ context.Context, c *state.Call) state.Result {
	return state.Result{Verdict: state.True, Comment: comment(c, "Success!")}
}

func fail(_ context.Context, c *state.Call) state.Result {
	if c.Test {
		return state.Result{Comment: "If we weren't testing, this would be a failure!"}
	}
	return state.Result{Comment: comment(c, "Failure!")}
}

func pretended() *data.Map {
	return data.NewMap("testing", data.NewMap("old", "Unchanged", "new", "Something pretended to change"))
}

func changing(v state.Verdict, would, otherwise string) func(context.Context, *state.Call) state.Result {
	return func(_ context.Context, c *state.Call) state.Result {
		if c.Test {
			return state.Result{Verdict: state.Pending, Changes: pretended(), Comment: "If we weren't testing, this would be " + would + " with changes"}
		}
		return state.Result{Verdict: v, Changes: pretended(), Comment: comment(c, otherwise)}
	}
}

// choice reads True, False or Random.
func choice(c *state.Call, name string) (bool, error) {
	v, given := c.Args.Get(name)
	switch {
	case !given, v == true:
		return true, nil
	case v == false:
		return false, nil
	case strings.EqualFold(modules.Text(v), "random"):
		return rand.IntN(2) == 1, nil
	}
	return false, fmt.Errorf("you have specified the state option '%s' with invalid arguments: it must be either True, False, or 'Random'", name)
}

func configurable(_ context.Context, c *state.Call) state.Result {
	changes, err := choice(c, "changes")
	if err != nil {
		return state.Result{Comment: err.Error(), Reason: "exception"}
	}
	result, err := choice(c, "result")
	if err != nil {
		return state.Result{Comment: err.Error(), Reason: "exception"}
	}
	res := state.Result{Verdict: state.False, Comment: comment(c, ""), Warnings: warnings(c)}
	if result {
		res.Verdict = state.True
	}
	if changes {
		res.Changes = pretended()
	}
	if c.Test && !allowed(c) {
		res.Verdict = state.True
		if changes {
			res.Verdict = state.Pending
		}
		if res.Comment == "" {
			res.Comment = "This is a test"
		}
	}
	return res
}

func allowed(c *state.Call) bool {
	v, _ := c.Args.Get("allow_test_mode_failure")
	return modules.Truth(v)
}

func warnings(c *state.Call) (all []string) {
	switch v, _ := c.Args.Get("warnings"); v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			all = append(all, modules.Text(one))
		}
	}
	return all
}

func notification(_ context.Context, c *state.Call) state.Result {
	text, ok := c.Args.Get("text")
	if !ok {
		return state.Result{Comment: "Missing required argument text.", Reason: "exception"}
	}
	return state.Result{Verdict: state.True, Comment: modules.Text(text)}
}

// watch says which of the requirements changed, or what it is told to.
func watch(_ context.Context, c *state.Call) state.Result {
	var names []any
	for _, req := range c.Requires {
		names = append(names, req.State+": "+req.Name)
	}
	res := state.Result{
		Verdict: state.True, Comment: comment(c, "Watch statement fired."), Changes: data.NewMap("Requisites with changes", slices.Clip(names)),
	}
	if result, ok := c.Args.Get("result"); ok && result == false {
		res.Verdict = state.False
	}
	if changes, ok := c.Args.Get("changes"); ok {
		if own, isMap := changes.(*data.Map); isMap {
			res.Changes = own
		}
	}
	return res
}

// pillarKinds are the arguments of check_pillar, each with what it says of a value.
var pillarKinds = []struct {
	arg, kind string
	is        func(any) bool
}{
	{"present", "", func(any) bool { return true }},
	{"boolean", "bool", func(v any) bool { _, ok := v.(bool); return ok }},
	{"integer", "int", func(v any) bool { _, ok := v.(int64); return ok }},
	{"string", "str", func(v any) bool { _, ok := v.(string); return ok }},
	{"listing", "list", func(v any) bool { _, ok := v.([]any); return ok }},
	{"dictionary", "dict", func(v any) bool { _, ok := v.(*data.Map); return ok }},
}

func checkPillar(_ context.Context, c *state.Call) state.Result {
	var wrong []string
	asked := false
	for _, kind := range pillarKinds {
		v, _ := c.Args.Get(kind.arg)
		keys, isList := v.([]any)
		if !isList && v != nil {
			keys = []any{v}
		}
		for _, key := range keys {
			asked = true
			got, _ := data.Traverse(c.Host.Pillar, modules.Text(key), ":")
			switch {
			case got == nil:
				wrong = append(wrong, fmt.Sprintf("Pillar key %q is missing.", modules.Text(key)))
			case !kind.is(got):
				wrong = append(wrong, fmt.Sprintf("Pillar key %q is not %s.", modules.Text(key), kind.kind))
			}
		}
	}
	switch {
	case !asked:
		return state.Result{Comment: "Missing required argument: name some keys", Reason: "exception"}
	case wrong != nil:
		return state.Result{Comment: strings.Join(wrong, "\n")}
	}
	return state.Result{Verdict: state.True}
}
