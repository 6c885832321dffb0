package modules

import (
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/target"
)

// filterBy is Salt's filter_by: the entry of lookup_dict whose key matches what is found under a name.
func filterBy(in *data.Map, name string, args *data.Map) (any, error) {
	lookup, err := mapArg(args, "lookup_dict")
	if err != nil {
		return nil, err
	}
	found, ok := data.Traverse(in, name, "")
	values, isList := found.([]any)
	if ok && !isList {
		values = []any{found}
	}
	return pick(lookup, values, args)
}

// pick finds the first value that a key of lookup matches, and merges as the arguments default, base and merge say.
func pick(lookup *data.Map, values []any, args *data.Map) (any, error) {
	var got any
	for _, value := range values {
		for key, entry := range lookup.All() {
			if target.Glob(Text(key), Text(value)) {
				got = entry
				break
			}
		}
		if got != nil {
			break
		}
	}
	if got == nil {
		got, _ = lookup.Get(arg(args, "default", "default"))
	}
	got, err := overBase(lookup, got, arg(args, "base", nil))
	if err != nil {
		return nil, err
	}
	merge := arg(args, "merge", nil)
	if !Truth(merge) {
		return data.Copy(got), nil
	}
	return over(got, merge, "merge")
}

func overBase(lookup *data.Map, got, base any) (any, error) {
	below, ok := lookup.Get(base)
	switch {
	case !ok || !Truth(base):
		return got, nil
	case got == nil:
		return below, nil
	}
	if _, isMap := below.(*data.Map); !isMap {
		return got, nil
	}
	return over(below, got, "default")
}

// over merges a map over another; what names the one whose kind is wrong.
func over(under, top any, what string) (any, error) {
	above, ok := top.(*data.Map)
	if !ok {
		return nil, fmt.Errorf("filter_by: %s must be a mapping", what)
	}
	if under == nil {
		return data.Copy(above), nil
	}
	below, ok := under.(*data.Map)
	if !ok {
		return nil, fmt.Errorf("filter_by: what was found must be a mapping to be merged with %s", what)
	}
	return data.Merge(below, above, data.Recurse, false), nil
}
