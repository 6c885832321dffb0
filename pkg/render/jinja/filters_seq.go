package jinja

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

func sequenceFilters() map[string]Builtin {
	all := map[string]Builtin{
		"default": filter("value default_value? boolean?", func(c *Call, b py.Bound) any {
			_, undefined := b[0].(*py.Undefined)
			if undefined || b.Bool(c.Run, 2, false) && !py.Truth(c.Run, b[0]) {
				return b.Or(1, "")
			}
			return b[0]
		}),
		"length": filter("obj", func(_ *Call, b py.Bound) any { return int64(py.Len(b[0])) }),
		"list":   filter("value", func(c *Call, b py.Bound) any { return &py.List{Items: py.Collect(c.Run, b[0])} }),
		"first": filter("seq", func(c *Call, b py.Bound) any {
			if v, ok := py.Walk(c.Run, b[0])(); ok {
				return v
			}
			return c.in.undefined("No first item, sequence was empty.")
		}),
		"last": filter("seq", func(c *Call, b py.Bound) any {
			if items := py.Collect(c.Run, b[0]); len(items) > 0 {
				return items[len(items)-1]
			}
			return c.in.undefined("No last item, sequence was empty.")
		}),
		"random": filter("seq", func(c *Call, b py.Bound) any {
			if items := py.Collect(c.Run, b[0]); len(items) > 0 {
				return items[rand.IntN(len(items))] //nolint:gosec // Jinja's is no secret either
			}
			return c.in.undefined("No random item, sequence was empty.")
		}),
		"reverse": filter("value", func(c *Call, b py.Bound) any {
			if s, ok := py.Text(b[0]); ok {
				v, _ := py.Subscript(c.Run, s, &py.Slice{Step: int64(-1)})
				return v
			}
			items := py.Collect(c.Run, b[0])
			slices.Reverse(items)
			return generator(c, "reversed", items)
		}),
		"join":     filter("value d? attribute?", join),
		"sort":     filter("value reverse? case_sensitive? attribute?", sorted),
		"unique":   filter("value case_sensitive? attribute?", unique),
		"min":      extreme("<"),
		"max":      extreme(">"),
		"sum":      filter("iterable attribute? start?", sum),
		"dictsort": filter("value case_sensitive? by? reverse?", dictsort),
		"items":    filter("value", items),
		"batch":    filter("value linecount fill_with?", batch),
		"slice":    filter("value slices fill_with?", sliced),
		"groupby":  filter("value attribute default? case_sensitive?", groupby),
		"attr": filter("obj name", func(c *Call, b py.Bound) any {
			if v, ok := py.Attr(c.Run, b[0], py.Str(c.Run, b[1])); ok {
				return v
			}
			return c.in.none(b[0], py.Str(c.Run, b[1]))
		}),
	}
	all["d"], all["count"] = all["default"], all["length"]
	return all
}

// generator gives items once.
func generator(c *Call, name string, items []any) any {
	next := py.Walk(c.Run, py.Tuple(items))
	return &py.Generator{Next: next, Name: name}
}

// attribute makes a function that follows a path like a.b.0 into a value.
func (c *Call) attribute(path any, otherwise any) func(any) any {
	if path == nil {
		return func(v any) any { return v }
	}
	var keys []any
	if s, ok := py.Text(path); ok {
		for part := range strings.SplitSeq(s, ".") {
			if n, isNumber := py.ParseInt(part, 10); isNumber && strings.Trim(part, "0123456789") == "" {
				keys = append(keys, n)
			} else {
				keys = append(keys, part)
			}
		}
	} else {
		keys = []any{path}
	}
	return func(v any) any {
		for _, k := range keys {
			v = c.in.item(v, k)
			if _, none := v.(*py.Undefined); none && otherwise != nil {
				v = otherwise
			}
		}
		return v
	}
}

// folded makes text small, so that it sorts without case.
func folded(v any) any {
	if s, ok := py.Text(v); ok {
		return strings.ToLower(s)
	}
	return v
}

func join(c *Call, b py.Bound) any {
	get := c.attribute(b.Or(2, nil), nil)
	sep := b.Str(c.Run, 1, "")
	var out strings.Builder
	i := 0
	for next := py.Walk(c.Run, b[0]); ; i++ {
		v, ok := next()
		if !ok {
			return out.String()
		}
		s := ""
		if v = get(v); c.in.escape {
			s = c.in.escaped(v)
		} else {
			s = py.Str(c.Run, v)
		}
		c.Alloc(len(s) + len(sep))
		if i > 0 {
			out.WriteString(sep)
		}
		out.WriteString(s)
	}
}

func sorted(c *Call, b py.Bound) any {
	items := py.Collect(c.Run, b[0])
	var parts []func(any) any
	if path, ok := py.Text(b.Or(3, nil)); ok {
		for p := range strings.SplitSeq(path, ",") {
			parts = append(parts, c.attribute(p, nil))
		}
	} else {
		parts = append(parts, c.attribute(b.Or(3, nil), nil))
	}
	exact := b.Bool(c.Run, 2, false)
	py.Sort(c.Run, items, func(v any) any {
		key := &py.List{}
		for _, get := range parts {
			part := get(v)
			if !exact {
				part = folded(part)
			}
			key.Items = append(key.Items, part)
		}
		if len(key.Items) == 1 {
			return key.Items[0]
		}
		return key
	}, b.Bool(c.Run, 1, false))
	return &py.List{Items: items}
}

func unique(c *Call, b py.Bound) any {
	get, exact := c.attribute(b.Or(2, nil), nil), b.Bool(c.Run, 1, false)
	seen := py.NewSet(c.Run, nil)
	var out []any
	for _, v := range py.Collect(c.Run, b[0]) {
		key := get(v)
		if !exact {
			key = folded(key)
		}
		if !seen.Has(key) {
			c.Elements(4)
			seen.Add(key)
			out = append(out, v)
		}
	}
	return generator(c, "", out)
}

func extreme(op string) Builtin {
	return filter("value case_sensitive? attribute?", func(c *Call, b py.Bound) any {
		get, exact := c.attribute(b.Or(2, nil), nil), b.Bool(c.Run, 1, false)
		var best, bestKey any
		first := true
		for _, v := range py.Collect(c.Run, b[0]) {
			key := get(v)
			if !exact {
				key = folded(key)
			}
			if first || py.Compare(c.Run, op, key, bestKey) {
				best, bestKey, first = v, key, false
			}
		}
		if first {
			return c.in.undefined("No aggregated item, sequence was empty.")
		}
		return best
	})
}

func sum(c *Call, b py.Bound) any {
	get, total := c.attribute(b.Or(1, nil), nil), b.Or(2, int64(0))
	for _, v := range py.Collect(c.Run, b[0]) {
		total = py.Binary(c.Run, "+", total, get(v))
	}
	return total
}

func dictsort(c *Call, b py.Bound) any {
	by := b.Str(c.Run, 2, "key")
	if by != "key" && by != "value" {
		py.Raise(py.RuntimeError, `You can only sort by either "key" or "value"`)
	}
	d, ok := b[0].(*py.Dict)
	if !ok {
		if u, undefined := b[0].(*py.Undefined); undefined {
			u.Raise()
		}
		py.Raise("AttributeError", "'%s' object has no attribute 'items'", py.TypeOf(b[0]))
	}
	items := py.Collect(c.Run, py.View{Of: d, Kind: "dict_items"})
	exact := b.Bool(c.Run, 1, false)
	py.Sort(c.Run, items, func(v any) any {
		pair := v.(py.Tuple)
		key := pair[0]
		if by == "value" {
			key = pair[1]
		}
		if !exact {
			return folded(key)
		}
		return key
	}, b.Bool(c.Run, 3, false))
	return &py.List{Items: items}
}

func items(c *Call, b py.Bound) any {
	switch d := b[0].(type) {
	case *py.Undefined:
		return generator(c, "", nil)
	case *py.Dict:
		return &py.Generator{Next: py.View{Of: d, Kind: "dict_items"}.Iterate(c.Run)}
	}
	py.Raise("TypeError", "Can only get item pairs from a mapping.")
	return nil
}

func batch(c *Call, b py.Bound) any {
	size := b.Int(1, 1)
	var out []any
	cur := &py.List{}
	for _, v := range py.Collect(c.Run, b[0]) {
		if len(cur.Items) == size {
			out = append(out, cur)
			cur = &py.List{}
		}
		cur.Items = append(cur.Items, v)
	}
	if len(cur.Items) > 0 {
		if fill := b.Or(2, nil); fill != nil && len(cur.Items) < size {
			c.Elements(size)
			for len(cur.Items) < size {
				cur.Items = append(cur.Items, fill)
			}
		}
		out = append(out, cur)
	}
	return generator(c, "", out)
}

func sliced(c *Call, b py.Bound) any {
	all, n := py.Collect(c.Run, b[0]), b.Int(1, 1)
	if n == 0 {
		py.Raise("ZeroDivisionError", "integer division or modulo by zero")
	}
	c.Elements(max(n, 0) * 4)
	var out []any
	fill, size, more := b.Or(2, nil), len(all)/max(n, 1), len(all)%max(n, 1)
	at := 0
	for i := range max(n, 0) {
		end := at + size
		if i < more {
			end++
		}
		part := slices.Clone(all[at:end])
		at = end
		if fill != nil && i >= more {
			part = append(part, fill)
		}
		out = append(out, &py.List{Items: part})
	}
	return generator(c, "", out)
}

// group is one of groupby: a tuple whose parts have names.
type group struct {
	grouper any
	list    *py.List
}

// TypeName is a tuple's.
func (g *group) TypeName() string { return "_GroupTuple" }

// Len is that of a pair.
func (g *group) Len() int { return 2 }

// Print is a tuple's.
func (g *group) Print(r *py.Run) string { return py.Repr(r, py.Tuple{g.grouper, g.list}) }

// Iterate gives both parts.
func (g *group) Iterate(r *py.Run) py.Iter { return py.Walk(r, py.Tuple{g.grouper, g.list}) }

// Index gives a part by number.
func (g *group) Index(r *py.Run, key any) (any, bool) {
	return py.Subscript(r, py.Tuple{g.grouper, g.list}, key)
}

// Attr gives a part by name.
func (g *group) Attr(_ *py.Run, name string) (any, bool) {
	switch name {
	case "grouper":
		return g.grouper, true
	case "list":
		return g.list, true
	}
	return nil, false
}

func groupby(c *Call, b py.Bound) any {
	get, exact := c.attribute(b[1], b.Or(2, nil)), b.Bool(c.Run, 3, false)
	key := func(v any) any {
		if k := get(v); exact {
			return k
		}
		return folded(get(v))
	}
	all := py.Collect(c.Run, b[0])
	py.Sort(c.Run, all, key, false)
	out := &py.List{}
	var last *group
	var lastKey any
	for _, v := range all {
		k := key(v)
		if last == nil || !py.Equal(c.Run, k, lastKey) {
			last, lastKey = &group{get(v), &py.List{}}, k
			out.Items = append(out.Items, last)
		}
		last.list.Items = append(last.list.Items, v)
	}
	return out
}

func choosingFilters() map[string]Builtin {
	return map[string]Builtin{
		"map":        filter("value * **", mapped),
		"select":     choose(true, false),
		"reject":     choose(false, false),
		"selectattr": choose(true, true),
		"rejectattr": choose(false, true),
	}
}

func mapped(c *Call, b py.Bound) any {
	args, kw := b[1].(py.Tuple), b[2].(*py.Dict)
	next := py.Walk(c.Run, b[0])
	var apply func(any) any
	if path, ok := kw.Get("attribute"); ok && len(args) == 0 {
		otherwise, _ := kw.Delete("default")
		if kw.Len() > 1 {
			py.Raise(py.RuntimeError, "Unexpected keyword argument %s", py.Repr(c.Run, kw.Keys()[0]))
		}
		apply = c.attribute(path, otherwise)
	} else {
		if len(args) == 0 {
			py.Raise(py.RuntimeError, "map requires a filter argument")
		}
		var names []py.Kw
		kw.Pairs(func(k, v any) { names = append(names, py.Kw{Name: py.MustText(k), Value: v}) })
		name := py.MustText(args[0])
		apply = func(v any) any {
			return c.in.filter(c.frame, name, append([]any{v}, args[1:]...), names)
		}
	}
	return &py.Generator{Next: func() (any, bool) {
		v, ok := next()
		if !ok {
			return nil, false
		}
		return apply(v), true
	}}
}

func choose(want, byAttribute bool) Builtin {
	return filter("value * **", func(c *Call, b py.Bound) any {
		args := b[1].(py.Tuple)
		get := func(v any) any { return v }
		if byAttribute {
			if len(args) == 0 {
				py.Raise(py.RuntimeError, "Missing parameter for attribute name")
			}
			get, args = c.attribute(args[0], nil), args[1:]
		}
		ask := func(v any) bool { return py.Truth(c.Run, v) }
		if len(args) > 0 {
			name := py.MustText(args[0])
			ask = func(v any) bool {
				return py.Truth(c.Run, c.in.ask(c.frame, name, append([]any{v}, args[1:]...), nil))
			}
		}
		next := py.Walk(c.Run, b[0])
		return &py.Generator{Next: func() (any, bool) {
			for {
				v, ok := next()
				if !ok {
					return nil, false
				}
				if ask(get(v)) == want {
					return v, true
				}
			}
		}}
	})
}
