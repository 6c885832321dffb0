package modules

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

func environFamily() map[string]Function {
	return map[string]Function{
		"environ.get": {
			Doc: "A variable of the minion's environment.\nkey; default (\"\")\n  environ.get PATH", Params: []string{"key", "default"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				key, err := textArg(args, "key")
				if v, ok := os.LookupEnv(key); ok || err != nil {
					return v, err
				}
				return arg(args, "default", ""), nil
			},
		},
		"environ.has_value": {
			Doc: "Whether a variable is set, and has the value when one is given.\nkey; value\n  environ.has_value PATH", Params: []string{"key", "value"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				key, err := textArg(args, "key")
				v, ok := os.LookupEnv(key)
				if want := arg(args, "value", nil); want != nil {
					ok = ok && v == Text(want)
				}
				return ok, err
			},
		},
		"environ.item": {
			Doc: "Some variables of the minion's environment, by name.\nkeys: a list; default (\"\")\n  environ.item '[PATH, HOME]'", Params: []string{"keys", "default"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				out := &data.Map{}
				for _, key := range texts(arg(args, "keys", nil)) {
					if v, ok := os.LookupEnv(key); ok {
						out.Set(key, v)
					} else {
						out.Set(key, arg(args, "default", ""))
					}
				}
				return out, nil
			},
		},
		"environ.items": {
			Doc: "The minion's environment.\n  environ.items",
			Run: func(context.Context, *Env, *data.Map) (any, error) {
				out, all := &data.Map{}, os.Environ()
				slices.Sort(all)
				for _, line := range all {
					name, value, _ := strings.Cut(line, "=")
					out.Set(name, value)
				}
				return out, nil
			},
		},
	}
}
