package modules

import (
	"context"

	"github.com/brine-deploy/brine/pkg/data"
)

func grainsFamily() map[string]Function {
	return map[string]Function{
		"grains.get": {
			Doc:    "The value of a grain; a:b goes down into maps and lists.\nkey; default: what is given when there is none (\"\"); delimiter: instead of the colon\n  grains.get os",
			Params: []string{"key", "default", "delimiter", "ordered"},
			Run:    grainsGet,
		},
		"grains.item": {
			Doc:    "The values of some grains, by name.\nany number of names; default; delimiter\n  grains.item os osrelease",
			Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				out := &data.Map{}
				for _, key := range rest(args) {
					v, ok := data.Traverse(env.Grains, Text(key), stringArg(args, "delimiter", ":"))
					otherwise, told := args.Get("default")
					switch {
					case ok:
						out.Set(key, data.Copy(v))
					case told:
						out.Set(key, otherwise)
					}
				}
				return out, nil
			},
		},
		"grains.items": {
			Doc: "All grains.\n  grains.items", Params: []string{"sanitize"},
			Run: func(_ context.Context, env *Env, _ *data.Map) (any, error) { return whole(env.Grains), nil },
		},
		"grains.ls": {
			Doc: "The names of all grains.\n  grains.ls",
			Run: func(_ context.Context, env *Env, _ *data.Map) (any, error) { return env.Grains.Keys(), nil },
		},
		"grains.has_value": {
			Doc: "Whether there is a grain of that name.\nkey\n  grains.has_value roles", Params: []string{"key"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				key, err := textArg(args, "key")
				_, ok := data.Traverse(env.Grains, key, "")
				return ok, err
			},
		},
		"grains.equals": {
			Doc: "Whether a grain has a value.\nkey; value\n  grains.equals os Debian", Params: []string{"key", "value"},
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				got, err := grainsGet(ctx, env, args)
				return Text(got) == Text(arg(args, "value", nil)), err
			},
		},
		"grains.filter_by": {
			Doc: `The entry of a map whose key, a glob, matches a grain's value.
lookup_dict; grain: whose value is looked up (os_family); merge: merged over what is found; default: the key that is taken
when none matches ("default"); base: a key whose entry is merged below
  grains.filter_by '{Debian: apt, RedHat: dnf, default: none}'`,
			Params: []string{"lookup_dict", "grain", "merge", "default", "base"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				return filterBy(env.Grains, stringArg(args, "grain", "os_family"), args)
			},
		},
	}
}

func grainsGet(_ context.Context, env *Env, args *data.Map) (any, error) {
	key, err := textArg(args, "key")
	if err != nil {
		return nil, err
	}
	if found, ok := data.Traverse(env.Grains, key, stringArg(args, "delimiter", ":")); ok {
		return data.Copy(found), nil
	}
	return arg(args, "default", ""), nil
}
