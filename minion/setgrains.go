package minion

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/minion/grains"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
)

// grainsFunctions set, change and remove grains of this minion. They stay until they are removed, and win over those that
// are configured.
func (m *Minion) grainsFunctions() map[string]modules.Function {
	change := func(doc string, params []string, run func(set, args *data.Map) (any, error)) modules.Function {
		return modules.Function{Doc: doc, Params: params, Changes: true, Run: func(ctx context.Context, _ *modules.Env, args *data.Map) (any, error) {
			return m.changeGrains(ctx, func(set *data.Map) (any, error) { return run(set, args) })
		}}
	}
	return map[string]modules.Function{
		"grains.setval": change("Set a grain.\nkey: a:b goes down into maps; val\n  grains.setval rack a7", []string{"key", "val", "destructive", "delimiter"}, setOne),
		"grains.set":    change("Set a grain.\nkey: a:b goes down into maps; val\n  grains.set rack a7", []string{"key", "val", "force", "destructive", "delimiter"}, setOne),
		"grains.setvals": change("Set several grains.\ngrains: a mapping\n  grains.setvals '{\"rack\": \"a7\"}'", []string{"grains", "destructive"}, func(set, args *data.Map) (any, error) {
			given, _ := args.Get("grains")
			all, ok := given.(*data.Map)
			if !ok {
				return nil, fmt.Errorf("%w: grains must be a mapping", modules.ErrArguments)
			}
			for key, value := range all.All() {
				path, err := keyOf(data.NewMap("key", key))
				if err != nil {
					return nil, err
				}
				inside(set, path).Set(path[len(path)-1], value)
			}
			return all, nil
		}),
		"grains.append": change("Add a value to a grain that is a list.\nkey; val\n  grains.append roles web", []string{"key", "val", "convert", "delimiter"}, appendOne),
		"grains.remove": change("Take a value out of a grain that is a list.\nkey; val\n  grains.remove roles web", []string{"key", "val", "delimiter"}, removeOne),
		"grains.delkey": change("Forget a grain that was set.\nkey\n  grains.delkey rack", []string{"key", "force"}, func(set, args *data.Map) (any, error) {
			key, err := keyOf(args)
			if err != nil {
				return nil, err
			}
			_, was := set.Get(key[0])
			set.Delete(key[0])
			return was, nil
		}),
	}
}

// refreshFunctions look at once for what is looked for every now and then.
func (m *Minion) refreshFunctions() map[string]modules.Function {
	return map[string]modules.Function{
		"saltutil.refresh_grains": {
			Doc: "Look for grains anew, and tell the master what has changed.\n  saltutil.refresh_grains", Params: []string{"*"},
			Run: func(ctx context.Context, _ *modules.Env, _ *data.Map) (any, error) { return true, m.tellGrains(ctx) },
		},
		"saltutil.refresh_pillar": {
			Doc: "Compile the pillar: true when the master could. Functions always see it as it is now.\n  saltutil.refresh_pillar", Params: []string{"*"},
			Run: func(ctx context.Context, _ *modules.Env, _ *data.Map) (any, error) {
				_, err := m.pillar(ctx, nil)
				return err == nil, err
			},
		},
	}
}

// changeGrains changes the grains that were set, and tells the master.
func (m *Minion) changeGrains(ctx context.Context, change func(set *data.Map) (any, error)) (any, error) {
	m.grains.Lock()
	defer m.grains.Unlock()
	found, err := grains.ReadSet(m.grainsFile())
	if err != nil {
		return nil, fmt.Errorf("read grains: %w", err)
	}
	set, _ := data.From(map[string]any(found)).(*data.Map)
	value, err := change(set)
	if err == nil {
		err = grains.WriteSet(m.grainsFile(), set)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, tellSoon)
	defer cancel()
	if err := m.tellGrains(ctx); err != nil {
		m.log.WarnContext(ctx, "grains not told", "error", err)
	}
	return value, nil
}

// keyOf takes the argument key apart.
func keyOf(args *data.Map) ([]string, error) {
	key, _ := args.Get("key")
	delimiter, ok := args.Get("delimiter")
	if !ok {
		delimiter = ":"
	}
	parts := strings.Split(modules.Text(key), modules.Text(delimiter))
	if key == nil || slices.Contains(parts, "") || parts[0] == "id" {
		return nil, fmt.Errorf("%w: key must name a grain, and id cannot be set", modules.ErrArguments)
	}
	return parts, nil
}

// inside gives the map that a key's last part is in; maps on the way are made.
func inside(set *data.Map, key []string) *data.Map {
	for _, part := range key[:len(key)-1] {
		below, _ := set.Get(part)
		m, ok := below.(*data.Map)
		if !ok {
			m = &data.Map{}
			set.Set(part, m)
		}
		set = m
	}
	return set
}

func setOne(set, args *data.Map) (any, error) {
	key, err := keyOf(args)
	if err != nil {
		return nil, err
	}
	value, _ := args.Get("val")
	inside(set, key).Set(key[len(key)-1], value)
	return data.NewMap(strings.Join(key, ":"), value), nil
}

// listOf gives the list that a key names in what was set; nothing is an empty one.
func listOf(set *data.Map, key []string) ([]any, error) {
	value, ok := inside(set, key).Get(key[len(key)-1])
	list, isList := value.([]any)
	if ok && !isList {
		return nil, fmt.Errorf("grain %s is no list", strings.Join(key, ":"))
	}
	return list, nil
}

func appendOne(set, args *data.Map) (any, error) {
	key, err := keyOf(args)
	if err != nil {
		return nil, err
	}
	list, err := listOf(set, key)
	if err != nil {
		return nil, err
	}
	value, _ := args.Get("val")
	more, ok := value.([]any)
	if !ok {
		more = []any{value}
	}
	list = data.Union(list, more)
	inside(set, key).Set(key[len(key)-1], list)
	return data.NewMap(strings.Join(key, ":"), list), nil
}

func removeOne(set, args *data.Map) (any, error) {
	key, err := keyOf(args)
	if err != nil {
		return nil, err
	}
	list, err := listOf(set, key)
	if err != nil {
		return nil, err
	}
	value, _ := args.Get("val")
	list = slices.DeleteFunc(slices.Clone(list), func(have any) bool { return data.Equal(have, value) })
	inside(set, key).Set(key[len(key)-1], list)
	return data.NewMap(strings.Join(key, ":"), list), nil
}
