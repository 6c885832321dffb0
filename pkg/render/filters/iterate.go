package filters

import (
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// iterating are the filters that are Python's itertools.
func iterating() table {
	choose := func(name string, ordered, again bool) jinja.Builtin {
		return filter("iterable r?", func(c *jinja.Call, b py.Bound) any {
			items := py.Collect(c.Run, b[0])
			size := len(items)
			if v := b.Or(1, nil); v != nil {
				size = py.Index(v)
			}
			if size < 0 {
				py.Raise("ValueError", "r must be non-negative")
			}
			return generator(c, "itertools."+name, chosen(c, items, size, ordered, again))
		})
	}
	return table{
		"combinations":                  choose("combinations", false, false),
		"combinations_with_replacement": choose("combinations_with_replacement", false, true),
		"permutations":                  choose("permutations", true, false),
		"product": filter("* repeat?", func(c *jinja.Call, b py.Bound) any {
			var pools [][]any
			for range b.Int(1, 1) {
				for _, from := range b[0].(py.Tuple) {
					pools = append(pools, py.Collect(c.Run, from))
				}
			}
			out := []any{py.Tuple{}}
			for _, pool := range pools {
				var next []any
				for _, head := range out {
					for _, v := range pool {
						c.Elements(len(pools) + 2)
						next = append(next, append(append(py.Tuple{}, head.(py.Tuple)...), v))
					}
				}
				out = next
			}
			return generator(c, "itertools.product", out)
		}),
		"compress": filter("data selectors", func(c *jinja.Call, b py.Bound) any {
			var out []any
			selectors := py.Collect(c.Run, b[1])
			for i, v := range py.Collect(c.Run, b[0]) {
				if i < len(selectors) && py.Truth(c.Run, selectors[i]) {
					out = append(out, v)
				}
			}
			return generator(c, "itertools.compress", out)
		}),
		"zip": filter("*", func(c *jinja.Call, b py.Bound) any { return generator(c, "zip", zip(c, b[0].(py.Tuple), nil, false)) }),
		"zip_longest": filter("* fillvalue?", func(c *jinja.Call, b py.Bound) any {
			return generator(c, "itertools.zip_longest", zip(c, b[0].(py.Tuple), b.Or(1, nil), true))
		}),
		"method_call": filter("obj f_name * **", func(c *jinja.Call, b py.Bound) any {
			f, ok := py.Attr(c.Run, b[0], py.MustText(b[1]))
			fn, callable := f.(py.Callable)
			if !ok || !callable {
				return nil
			}
			var kw []py.Kw
			b[3].(*py.Dict).Pairs(func(k, v any) { kw = append(kw, py.Kw{Name: py.MustText(k), Value: v}) })
			return fn.Call(c.Run, b[2].(py.Tuple), kw)
		}),
	}
}

func generator(c *jinja.Call, name string, items []any) any {
	return &py.Generator{Next: py.Walk(c.Run, py.Tuple(items)), Name: name}
}

// chosen gives all ways to take size of items.
func chosen(c *jinja.Call, items []any, size int, ordered, again bool) []any {
	var out []any
	var pick func(head py.Tuple, taken []bool, from int)
	pick = func(head py.Tuple, taken []bool, from int) {
		if len(head) == size {
			out = append(out, head)
			return
		}
		if len(head) > 500 {
			py.Raise("RecursionError", "maximum recursion depth exceeded")
		}
		for i := from; i < len(items); i++ {
			c.Step(1)
			if taken[i] && !again {
				continue
			}
			c.Elements(len(head) + 2)
			taken[i] = true
			next := 0
			switch {
			case !ordered && again:
				next = i
			case !ordered:
				next = i + 1
			}
			pick(append(append(py.Tuple{}, head...), items[i]), taken, next)
			taken[i] = false
		}
	}
	if size <= len(items) || again {
		pick(py.Tuple{}, make([]bool, len(items)), 0)
	}
	return out
}

func zip(c *jinja.Call, from py.Tuple, fill any, longest bool) []any {
	pools := make([][]any, len(from))
	size := -1
	for i, v := range from {
		pools[i] = py.Collect(c.Run, v)
		if n := len(pools[i]); size < 0 || longest && n > size || !longest && n < size {
			size = n
		}
	}
	var out []any
	for i := range max(size, 0) {
		c.Elements(len(pools) + 1)
		row := make(py.Tuple, len(pools))
		for j, pool := range pools {
			row[j] = fill
			if i < len(pool) {
				row[j] = pool[i]
			}
		}
		out = append(out, row)
	}
	return out
}
