// Package environ sets environment variables of the minion's process, which what it starts inherits: Salt's environ states.
package environ

import (
	"context"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family {
	return state.Family{
		"setenv": {
			Doc: "Sets variables of the minion's environment until it ends: value is the text of the variable called name, or a mapping of " +
				"variables; False, or false_unsets with null, takes one away. clear_all takes all others away.",
			Params: []string{"value", "false_unsets", "clear_all", "update_minion", "permanent"}, Run: setenv,
		},
	}
}

func setenv(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	unset, clearAll := a.Bool("false_unsets", false), a.Bool("clear_all", false)
	if a.Bool("permanent", false) {
		a.Wrong("permanent: it is for Windows only")
	}
	a.Bool("update_minion", false)
	wanted := data.NewMap()
	switch v := a.Get("value").(type) {
	case *data.Map:
		wanted = v
	case []any:
		wanted = a.Map("value")
	default:
		wanted.Set(c.Name, v)
	}
	for k, v := range wanted.All() {
		name, text := args.Text(k), args.Text(v)
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(text, "\x00") {
			a.Wrong("%q is no name of a variable", name)
		}
		switch v.(type) {
		case *data.Map, []any:
			a.Wrong("value: %s is no text", name)
		}
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	changes := data.NewMap()
	for k, v := range wanted.All() {
		name := args.Text(k)
		have, there := os.LookupEnv(name)
		text := ""
		if v != nil && v != false {
			text = args.Text(v)
		}
		if remove := text == "" && v != "" && unset; remove {
			if there {
				changes.Set(name, nil)
			}
		} else if !there || have != text {
			changes.Set(name, text)
		}
	}
	if clearAll {
		for _, one := range os.Environ() {
			name, _, _ := strings.Cut(one, "=")
			if _, keep := wanted.Get(name); !keep && changes.Len() >= 0 {
				changes.Set(name, nil)
			}
		}
	}
	switch {
	case changes.Len() == 0:
		return args.Fine("Environ values are already set with the correct values")
	case c.Test:
		return args.Would(changes, "Environ values would be changed")
	}
	for k, v := range changes.All() {
		name, _ := k.(string)
		text, isText := v.(string)
		var err error
		if isText {
			err = os.Setenv(name, text)
		} else {
			err = os.Unsetenv(name)
		}
		if err != nil {
			return args.Failed("set %s: %v", name, err)
		}
	}
	return args.Done(changes, "Environ values were set")
}
