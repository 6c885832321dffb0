package modules

import (
	"context"
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
)

func pillarFamily() map[string]Function {
	return map[string]Function{
		"pillar.get": {
			Doc: `The value of a key of the pillar; a:b goes down into maps and lists.
key; default: what is given when there is none (""); merge: merge the value into the default, when both are maps or lists;
merge_nested_lists; delimiter: instead of the colon
  pillar.get users:zed:uid`,
			Params: []string{"key", "default", "merge", "merge_nested_lists", "delimiter", "pillarenv", "saltenv"},
			Run:    pillarGet,
		},
		"pillar.item": {
			Doc:    "The values of some keys of the pillar, by key.\nany number of keys; default; delimiter\n  pillar.item users port",
			Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				return items(env.Pillar, args), nil
			},
		},
		"pillar.items": {
			Doc: "The whole pillar, or the values of some keys.\nany number of keys\n  pillar.items", Params: []string{"*"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				if len(rest(args)) > 0 {
					return items(env.Pillar, args), nil
				}
				return whole(env.Pillar), nil
			},
		},
		"pillar.raw": {
			Doc: "The whole pillar, or the value of one key of its top.\nkey\n  pillar.raw", Params: []string{"key"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				if key := arg(args, "key", nil); Truth(key) {
					if v, ok := env.Pillar.Get(key); ok {
						return data.Copy(v), nil
					}
					return &data.Map{}, nil
				}
				return whole(env.Pillar), nil
			},
		},
		"pillar.keys": {
			Doc: "The keys of a map of the pillar.\nkey; delimiter\n  pillar.keys users", Params: []string{"key", "delimiter"},
			Run: pillarKeys,
		},
		"pillar.ls": {
			Doc: "The keys of the pillar's top.\n  pillar.ls",
			Run: func(_ context.Context, env *Env, _ *data.Map) (any, error) { return env.Pillar.Keys(), nil },
		},
		"pillar.filter_by": {
			Doc: `The entry of a map whose key, a glob, matches a value of the pillar.
lookup_dict; pillar: whose value is looked up; merge: merged over what is found; default: the key that is taken when none
matches ("default"); base: a key whose entry is merged below
  pillar.filter_by '{web: 1, default: 2}' pillar=role`,
			Params: []string{"lookup_dict", "pillar", "merge", "default", "base"},
			Run: func(_ context.Context, env *Env, args *data.Map) (any, error) {
				name, err := textArg(args, "pillar")
				if err != nil {
					return nil, err
				}
				return filterBy(env.Pillar, name, args)
			},
		},
	}
}

func pillarGet(_ context.Context, env *Env, args *data.Map) (any, error) {
	key, err := textArg(args, "key")
	if err != nil {
		return nil, err
	}
	found, ok := data.Traverse(env.Pillar, key, stringArg(args, "delimiter", ":"))
	otherwise, told := args.Get("default")
	if flagArg(args, "merge", false) {
		lists := flagArg(args, "merge_nested_lists", Truth(arg(env.Opts, "pillar_merge_lists", nil)))
		if merged, done := merged(otherwise, found, ok, lists); done {
			return merged, nil
		}
	}
	raise, _ := env.Opts.Get("pillar_raise_on_missing")
	switch {
	case ok:
		return data.Copy(found), nil
	case told:
		return otherwise, nil
	case Truth(raise):
		return nil, fmt.Errorf("pillar key not found: %s", key)
	default:
		return "", nil
	}
}

// merged is a default with what was found merged into it. It is not done when they are of different kinds.
func merged(otherwise, found any, ok, lists bool) (value any, done bool) {
	switch base := otherwise.(type) {
	case *data.Map:
		if over, is := found.(*data.Map); is || !ok {
			return data.Merge(base, over, data.Recurse, lists), true
		}
	case []any:
		if more, is := found.([]any); is || !ok {
			return data.Union(base, more), true
		}
	}
	return nil, false
}

func pillarKeys(_ context.Context, env *Env, args *data.Map) (any, error) {
	key, err := textArg(args, "key")
	if err != nil {
		return nil, err
	}
	found, ok := data.Traverse(env.Pillar, key, stringArg(args, "delimiter", ":"))
	m, isMap := found.(*data.Map)
	switch {
	case !ok:
		return nil, fmt.Errorf("pillar key not found: %s", key)
	case !isMap:
		return nil, fmt.Errorf("pillar value of %s is no mapping", key)
	default:
		return m.Keys(), nil
	}
}

func whole(m *data.Map) any { return data.Copy(data.Merge(m, nil, "", false)) }

// items looks up any number of keys.
func items(in, args *data.Map) *data.Map {
	out := &data.Map{}
	for _, key := range rest(args) {
		if v, ok := data.Traverse(in, Text(key), stringArg(args, "delimiter", ":")); ok {
			out.Set(key, data.Copy(v))
		} else {
			out.Set(key, arg(args, "default", ""))
		}
	}
	return out
}
