package filters

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// hashable reports what Salt's list filters ask to know whether they get a list.
func hashable(v any) bool {
	switch v.(type) {
	case *py.List, *py.Dict, *py.Set:
		return false
	}
	return true
}

// combine makes a filter of two lists: of lists it is a list without doubles, of others a set.
func combine(keep func(c *jinja.Call, a, b []any) []any) jinja.Builtin {
	return filter("lst1 lst2", func(c *jinja.Call, b py.Bound) any {
		out := keep(c, py.Collect(c.Run, b[0]), py.Collect(c.Run, b[1]))
		if hashable(b[0]) && hashable(b[1]) {
			return py.NewSet(c.Run, py.Tuple(out))
		}
		return &py.List{Items: distinct(c, out)}
	})
}

func distinct(c *jinja.Call, items []any) []any {
	var out []any
	for _, v := range items {
		if !has(c, out, v) {
			out = append(out, v)
		}
	}
	return out
}

func has(c *jinja.Call, items []any, v any) bool {
	return slices.ContainsFunc(items, func(other any) bool { return py.Equal(c.Run, other, v) })
}

func without(c *jinja.Call, a, b []any) []any {
	return slices.DeleteFunc(slices.Clone(a), func(v any) bool { return has(c, b, v) })
}

func lists() table {
	return table{
		"unique": filter("values", func(c *jinja.Call, b py.Bound) any {
			if hashable(b[0]) {
				return py.NewSet(c.Run, b[0])
			}
			return &py.List{Items: distinct(c, py.Collect(c.Run, b[0]))}
		}),
		"union": combine(func(_ *jinja.Call, a, b []any) []any { return append(a, b...) }),
		"intersect": combine(func(c *jinja.Call, a, b []any) []any {
			return slices.DeleteFunc(a, func(v any) bool { return !has(c, b, v) })
		}),
		"difference": combine(without),
		"symmetric_difference": combine(func(c *jinja.Call, a, b []any) []any {
			return append(without(c, a, b), without(c, b, a)...)
		}),
		"min": outermost("min", "<"),
		"max": outermost("max", ">"),
		"avg": filter("lst", func(c *jinja.Call, b py.Bound) any {
			if hashable(b[0]) {
				return py.Binary(c.Run, "*", b[0], 1.0)
			}
			var total any = int64(0)
			items := py.Collect(c.Run, b[0])
			for _, v := range items {
				total = py.Binary(c.Run, "+", total, v)
			}
			return py.Binary(c.Run, "/", py.Binary(c.Run, "*", total, 1.0), int64(len(items)))
		}),
		"sorted_ignorecase": filter("to_sort", func(c *jinja.Call, b py.Bound) any {
			items := py.Collect(c.Run, b[0])
			py.Sort(c.Run, items, func(v any) any { return strings.ToLower(py.MustText(v)) }, false)
			return &py.List{Items: items}
		}),
		"is_sorted": filter("lst key? reverse?", func(c *jinja.Call, b py.Bound) any {
			op := "<="
			if b.Bool(c.Run, 2, false) {
				op = ">="
			}
			items := py.Collect(c.Run, b[0])
			for i := 1; i < len(items); i++ {
				if !py.Compare(c.Run, op, items[i-1], items[i]) {
					return false
				}
			}
			return true
		}),
		"is_list": filter("value", func(_ *jinja.Call, b py.Bound) any { _, ok := b[0].(*py.List); return ok }),
		"is_iter": filter("thing", func(_ *jinja.Call, b py.Bound) any {
			_, text := py.Text(b[0])
			return !text && py.IsIterable(b[0])
		}),
		"sequence": filter("data", func(_ *jinja.Call, b py.Bound) any {
			switch v := b[0].(type) {
			case *py.List, py.Tuple, *py.Set, *py.Dict:
				return v
			case *py.Undefined:
				v.Raise()
			}
			return py.NewList(b[0])
		}),
		"exactly_n_true":   filter("iterable amount?", func(c *jinja.Call, b py.Bound) any { return trues(c, b[0]) == b.Int(1, 1) }),
		"exactly_one_true": filter("iterable", func(c *jinja.Call, b py.Bound) any { return trues(c, b[0]) == 1 }),
		"substring_in_list": filter("string_to_search_for list_to_search", func(c *jinja.Call, b py.Bound) any {
			return slices.ContainsFunc(py.Collect(c.Run, b[1]), func(v any) bool { return py.Contains(c.Run, v, b[0]) })
		}),
		"compare_lists": filter("old new", func(c *jinja.Call, b py.Bound) any {
			before, after := py.Collect(c.Run, b[0]), py.Collect(c.Run, b[1])
			out := &py.Dict{}
			for _, part := range []struct {
				name  string
				items []any
			}{{"new", without(c, after, before)}, {"old", without(c, before, after)}} {
				if len(part.items) > 0 {
					out.Set(part.name, &py.List{Items: part.items})
				}
			}
			return out
		}),
		"flatten": filter("data levels? preserve_nulls?", func(c *jinja.Call, b py.Bound) any {
			levels := -1
			if v := b.Or(1, nil); v != nil {
				levels = py.Index(v)
			}
			return &py.List{Items: flatten(c, b[0], levels, b.Bool(c.Run, 2, false), 0)}
		}),
		"random_sample": filter("value size seed?", func(c *jinja.Call, b py.Bound) any {
			return sample(c, b[0], b.Int(1, 0), b.Or(2, nil))
		}),
		"random_shuffle": filter("value seed?", func(c *jinja.Call, b py.Bound) any {
			return sample(c, b[0], py.Len(b[0]), b.Or(1, nil))
		}),
	}
}

func trues(c *jinja.Call, v any) int {
	n := 0
	for _, item := range py.Collect(c.Run, v) {
		if py.Truth(c.Run, item) {
			n++
		}
	}
	return n
}

func outermost(name, op string) jinja.Builtin {
	return filter("obj", func(c *jinja.Call, b py.Bound) any {
		items := py.Collect(c.Run, b[0])
		if len(items) == 0 {
			py.Raise("ValueError", "%s() arg is an empty sequence", name)
		}
		best := items[0]
		for _, v := range items[1:] {
			if py.Compare(c.Run, op, v, best) {
				best = v
			}
		}
		return best
	})
}

func flatten(c *jinja.Call, v any, levels int, nulls bool, depth int) []any {
	if depth > 200 {
		py.Raise("RecursionError", "Reference cycle detected. Check input list.")
	}
	var out []any
	for _, item := range py.Collect(c.Run, v) {
		text, isText := py.Text(item)
		switch {
		case !nulls && (item == nil || text == "None" || text == "null"):
		case !isText && py.IsIterable(item) && levels != 0:
			out = append(out, flatten(c, item, max(levels-1, -1), nulls, depth+1)...)
		default:
			out = append(out, item)
		}
	}
	return out
}

// sample picks at random. A seed always gives the same, but not the same as Python's generator would.
func sample(c *jinja.Call, v any, size int, seed any) any {
	items := py.Collect(c.Run, v)
	if size < 0 || size > len(items) {
		py.Raise("ValueError", "Sample larger than population or is negative")
	}
	shuffle := rand.Shuffle
	if seed != nil {
		sum := digest("sha256", []byte(py.Str(c.Run, seed)))
		shuffle = rand.New(rand.NewChaCha8([32]byte(sum))).Shuffle //nolint:gosec // no secret
	}
	shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return &py.List{Items: items[:size]}
}
