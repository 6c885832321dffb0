package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

func configFamily() map[string]Function {
	return map[string]Function{
		"config.get": {
			Doc: `The value of a key of the minion's configuration, else of its grains, its pillar, the pillar's map "master".
key; default (""); delimiter; merge: "recurse" or "overwrite" merges what all of them have, the configuration wins;
omit_opts, omit_grains, omit_pillar, omit_master
  config.get id`,
			Params: []string{"key", "default", "delimiter", "merge", "omit_opts", "omit_pillar", "omit_master", "omit_grains"},
			Run:    configGet,
		},
		"config.option": {
			Doc: `The value of a key of the minion's configuration, else of the pillar's map "master", its pillar, its grains.
value: the key, which is not split at colons; default (""); omit_opts, omit_grains, omit_pillar, omit_master
  config.option failhard`,
			Params: []string{"value", "default", "omit_opts", "omit_grains", "omit_pillar", "omit_master"},
			Run:    configOption,
		},
		"config.items": {
			Doc: "The minion's whole configuration.\n  config.items",
			Run: func(_ context.Context, env *Env, _ *data.Map) (any, error) { return whole(env.Opts), nil },
		},
		"config.manage_mode": {
			Doc: "A file's mode in four digits.\nmode\n  config.manage_mode 644", Params: []string{"mode"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				mode := arg(args, "mode", nil)
				if mode == nil {
					return nil, nil
				}
				digits := strings.TrimLeft(strings.Trim(Text(mode), `"'`), "0")
				return "0" + strings.Repeat("0", max(0, 3-len(digits))) + digits, nil
			},
		},
		"config.valid_fileproto": {
			Doc: "Whether a URL is of a kind that files come from.\nuri\n  config.valid_fileproto salt://a", Params: []string{"uri"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				scheme, _, ok := strings.Cut(stringArg(args, "uri", ""), "://")
				return ok && slices.Contains([]string{"salt", "http", "https", "ftp", "s3", "swift"}, scheme), nil
			},
		},
	}
}

// layers are where config.get looks, in its order.
func layers(env *Env, args *data.Map) []*data.Map {
	var all []*data.Map
	master, _ := arg(env.Pillar, "master", nil).(*data.Map)
	for _, l := range []struct {
		omit string
		of   *data.Map
	}{{"omit_opts", env.Opts}, {"omit_grains", env.Grains}, {"omit_pillar", env.Pillar}, {"omit_master", master}} {
		if !flagArg(args, l.omit, false) {
			all = append(all, l.of)
		}
	}
	return all
}

func configGet(_ context.Context, env *Env, args *data.Map) (any, error) {
	key, err := textArg(args, "key")
	if err != nil {
		return nil, err
	}
	delimiter, strategy := stringArg(args, "delimiter", ":"), data.Strategy(stringArg(args, "merge", ""))
	if err := strategy.Valid(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArguments, err)
	}
	var found []any
	for _, layer := range layers(env, args) {
		if v, ok := data.Traverse(layer, key, delimiter); ok {
			found = append(found, v)
		}
	}
	if _, isMap := arg(args, "default", "").(*data.Map); len(found) == 0 || strategy != "" && isMap {
		found = append(found, arg(args, "default", ""))
	}
	if strategy == "" {
		return data.Copy(found[0]), nil
	}
	return mergeLayers(found, strategy), nil
}

// mergeLayers merges what the layers have. The first that is no map decides when it is the first of all, and is left out
// otherwise.
func mergeLayers(found []any, strategy data.Strategy) any {
	if _, isMap := found[0].(*data.Map); !isMap {
		return data.Copy(found[0])
	}
	out := &data.Map{}
	for _, v := range slices.Backward(found) {
		if m, ok := v.(*data.Map); ok {
			out = data.Merge(out, m, strategy, false)
		}
	}
	return out
}

func configOption(_ context.Context, env *Env, args *data.Map) (any, error) {
	key, err := textArg(args, "value")
	if err != nil {
		return nil, err
	}
	master, _ := arg(env.Pillar, "master", nil).(*data.Map)
	for _, l := range []struct {
		omit string
		of   *data.Map
	}{{"omit_opts", env.Opts}, {"omit_master", master}, {"omit_pillar", env.Pillar}, {"omit_grains", env.Grains}} {
		if v, ok := l.of.Get(key); ok && !flagArg(args, l.omit, false) {
			return data.Copy(v), nil
		}
	}
	return arg(args, "default", ""), nil
}
