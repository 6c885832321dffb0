package modules

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/target"
)

func sysFamily() map[string]Function {
	const which = "\nany number of names: families, functions, or globs\n  "
	return map[string]Function{
		"sys.list_functions": {
			Doc: "The names of the functions that can be called." + which + "sys.list_functions 'file.*'", Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				return list(Names(env.Functions, texts(rest(args)))), nil
			},
		},
		"sys.list_modules": {
			Doc: "The families of functions." + which + "sys.list_modules", Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				families := map[string]bool{}
				for _, name := range Names(env.Functions, texts(rest(args))) {
					family, _, _ := strings.Cut(name, ".")
					families[family] = true
				}
				return list(slices.Sorted(maps.Keys(families))), nil
			},
		},
		"sys.doc": {
			Doc: "What the functions do, by name." + which + "sys.doc test.ping", Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				out := &data.Map{}
				for _, name := range Names(env.Functions, texts(rest(args))) {
					out.Set(name, env.Functions[name].Doc)
				}
				return out, nil
			},
		},
		"sys.argspec": {
			Doc: "The parameters of functions, by name." + which + "sys.argspec cmd.run", Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				out := &data.Map{}
				for _, name := range Names(env.Functions, texts(rest(args))) {
					params := env.Functions[name].Params
					open := len(params) > 0 && params[len(params)-1] == "*"
					if open {
						params = params[:len(params)-1]
					}
					out.Set(name, data.NewMap("args", list(params), "varargs", open))
				}
				return out, nil
			},
		},
	}
}

// Names are the functions of a table that one of the patterns names: a function, a family, or a glob. Without any, all.
// They are sorted.
func Names(table map[string]Function, patterns []string) []string {
	names := slices.Sorted(maps.Keys(table))
	if len(patterns) == 0 {
		return names
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !slices.ContainsFunc(patterns, func(p string) bool {
			return p == name || strings.HasPrefix(name, p+".") || target.Glob(p, name)
		})
	})
}
