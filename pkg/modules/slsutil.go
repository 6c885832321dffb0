package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

func slsutilFamily() map[string]Function {
	const how = "strategy: smart, recurse, overwrite, aggregate, list; merge_lists: append instead of replacing"
	return map[string]Function{
		"slsutil.merge": {
			Doc:    "Two mappings merged into a new one; the second wins.\nobj_a; obj_b; " + how + "\n  slsutil.merge '{a: 1}' '{b: 2}'",
			Params: []string{"obj_a", "obj_b", "strategy", "renderer", "merge_lists"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return mergeAll([]any{arg(args, "obj_a", nil), arg(args, "obj_b", nil)}, args)
			},
		},
		"slsutil.merge_all": {
			Doc:    "Mappings merged into a new one; the later wins.\nlst; " + how + "\n  slsutil.merge_all '[{a: 1}, {b: 2}]'",
			Params: []string{"lst", "strategy", "renderer", "merge_lists"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				l, ok := arg(args, "lst", nil).([]any)
				if !ok {
					return nil, fmt.Errorf("%w: lst must be a list", ErrArguments)
				}
				return mergeAll(l, args)
			},
		},
		"slsutil.update": {
			Doc:    "Two mappings merged; the second wins. The first is changed.\ndest; upd; recursive_update (true); merge_lists\n  slsutil.update '{a: 1}' '{b: 2}'",
			Params: []string{"dest", "upd", "recursive_update", "merge_lists"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				strategy := data.Recurse
				if !flagArg(args, "recursive_update", true) {
					strategy = data.Overwrite
				}
				return mergeInto(args, strategy, true)
			},
		},
		"slsutil.boolstr": {
			Doc:    "One of two values, as the first says.\nvalue; true (\"true\"); false (\"false\")\n  slsutil.boolstr yes enabled disabled",
			Params: []string{"value", "true", "false"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				v := arg(args, "value", nil)
				if text, ok := v.(string); ok {
					switch strings.ToLower(text) {
					case "true", "yes", "on", "y", "1":
						v = true
					default:
						v = false
					}
				}
				if Truth(v) {
					return arg(args, "true", "true"), nil
				}
				return arg(args, "false", "false"), nil
			},
		},
		"slsutil.serialize":   serializing(),
		"slsutil.file_exists": {Doc: "Whether the file server has a file.\npath; saltenv\n  slsutil.file_exists web/init.sls", Params: []string{"path", "saltenv"}, Run: served(true, false)},
		"slsutil.dir_exists":  {Doc: "Whether the file server has a directory.\npath; saltenv\n  slsutil.dir_exists web", Params: []string{"path", "saltenv"}, Run: served(false, true)},
		"slsutil.path_exists": {Doc: "Whether the file server has a file or directory.\npath; saltenv\n  slsutil.path_exists web", Params: []string{"path", "saltenv"}, Run: served(true, true)},
		"slsutil.findup": {
			Doc:    "The first of some files that is in a directory of the file server, or in one above it.\nstartpath; filenames; saltenv\n  slsutil.findup web/sub map.jinja",
			Params: []string{"startpath", "filenames", "saltenv"}, Run: findUp,
		},
	}
}

func mergeAll(maps []any, args *data.Map) (any, error) {
	strategy, out := data.Strategy(stringArg(args, "strategy", "")), &data.Map{}
	if err := strategy.Valid(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArguments, err)
	}
	for _, v := range maps {
		m, ok := v.(*data.Map)
		if !ok {
			return nil, fmt.Errorf("%w: cannot merge %s: it is no mapping", ErrArguments, Text(v))
		}
		out = data.Merge(out, m, strategy, flagArg(args, "merge_lists", false))
	}
	return out, nil
}

// mergeInto merges upd over dest, in place when told so.
func mergeInto(args *data.Map, strategy data.Strategy, inPlace bool) (any, error) {
	dest, upd := arg(args, "dest", nil), arg(args, "upd", nil)
	under, ok := dest.(*data.Map)
	above, also := upd.(*data.Map)
	if !ok || !also {
		return nil, fmt.Errorf("%w: dest and upd must be mappings", ErrArguments)
	}
	merged := data.Merge(under, above, strategy, flagArg(args, "merge_lists", false))
	if inPlace {
		for k, v := range merged.All() {
			under.Set(k, v)
		}
		return under, nil
	}
	return merged, nil
}

// defaultsFamily is without defaults.get: nothing here has a defaults.yaml of its own.
func defaultsFamily() map[string]Function {
	merge := func(strategyOf func(args *data.Map) data.Strategy) func(context.Context, *Env, *data.Map) (any, error) {
		return func(_ context.Context, _ *Env, args *data.Map) (any, error) {
			return mergeInto(args, strategyOf(args), flagArg(args, "in_place", true))
		}
	}
	return map[string]Function{
		"defaults.merge": {
			Doc:    "Two mappings merged; the second wins. The first is changed, unless in_place is false.\ndest; upd; merge_lists; in_place (true); convert_none (true)\n  defaults.merge '{a: 1}' '{b: 2}'",
			Params: []string{"dest", "upd", "merge_lists", "in_place", "convert_none"},
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				if flagArg(args, "convert_none", true) {
					for _, name := range []string{"dest", "upd"} {
						if arg(args, name, nil) == nil {
							args.Set(name, &data.Map{})
						}
					}
				}
				return merge(func(*data.Map) data.Strategy { return data.Recurse })(ctx, env, args)
			},
		},
		"defaults.deepcopy": {
			Doc: "A copy that shares nothing.\nsource\n  defaults.deepcopy '{a: [1]}'", Params: []string{"source"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return data.Copy(arg(args, "source", nil)), nil
			},
		},
		"defaults.update": {
			Doc:    "Each entry of a mapping over defaults. The mapping is changed, unless in_place is false.\ndest; defaults; merge_lists (true); in_place (true); convert_none\n  defaults.update '{web1: {port: 1}}' '{port: 80}'",
			Params: []string{"dest", "defaults", "merge_lists", "in_place", "convert_none"}, Run: defaultsUpdate,
		},
	}
}

func defaultsUpdate(_ context.Context, _ *Env, args *data.Map) (any, error) {
	dest, err := mapArg(args, "dest")
	if err != nil {
		return nil, err
	}
	defaults, err := mapArg(args, "defaults")
	if err != nil {
		return nil, err
	}
	out := dest
	if !flagArg(args, "in_place", true) || dest == nil {
		out = &data.Map{}
	}
	for name, entry := range dest.All() {
		m, ok := entry.(*data.Map)
		if !ok && entry != nil {
			return nil, fmt.Errorf("%w: the entry %s of dest must be a mapping", ErrArguments, Text(name))
		}
		out.Set(name, data.Merge(defaults, m, data.Recurse, flagArg(args, "merge_lists", true)))
	}
	return out, nil
}

// served says whether the file server has a path, as a file or as a directory.
func served(file, dir bool) func(context.Context, *Env, *data.Map) (any, error) {
	return func(ctx context.Context, env *Env, args *data.Map) (any, error) {
		name, err := textArg(args, "path")
		if err != nil || env.Files == nil {
			return false, err
		}
		name = strings.Trim(strings.TrimPrefix(name, "salt://"), "/")
		if file {
			ok, err := hasFile(ctx, env, stringArg(args, "saltenv", "base"), name)
			if ok || err != nil {
				return ok, err
			}
		}
		if !dir {
			return false, nil
		}
		names, err := env.Files.List(ctx, stringArg(args, "saltenv", "base"), name)
		return len(names) > 0, err
	}
}

func hasFile(ctx context.Context, env *Env, saltenv, name string) (bool, error) {
	f, _, err := env.Files.Open(ctx, saltenv, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, f.Close()
}

func findUp(ctx context.Context, env *Env, args *data.Map) (any, error) {
	start, saltenv := strings.Trim(stringArg(args, "startpath", ""), "/"), stringArg(args, "saltenv", "base")
	names := texts(arg(args, "filenames", nil))
	if env.Files == nil || len(names) == 0 {
		return nil, fmt.Errorf("%w: filenames must be given, and a file server", ErrArguments)
	}
	for dir := path.Clean(start); ; dir = path.Dir(dir) {
		for _, name := range names {
			at := path.Join(dir, name)
			if ok, err := hasFile(ctx, env, saltenv, at); ok || err != nil {
				return at, err
			}
		}
		if dir == "." {
			return nil, fmt.Errorf("find %s: no file of that name in %s or above", strings.Join(names, " or "), start)
		}
	}
}
