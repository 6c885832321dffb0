package filters

import (
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jmespath"
	"github.com/brine-deploy/brine/pkg/yaml"
)

func dicts() table {
	return table{
		"compare_dicts": filter("old new", func(c *jinja.Call, b py.Bound) any {
			before, after := mapping(b[0]), mapping(b[1])
			out := &py.Dict{}
			note := func(k, was, is any) {
				c.Elements(8)
				out.Set(k, py.NewDict("old", was, "new", is))
			}
			after.Pairs(func(k, v any) {
				was, ok := before.Get(k)
				switch {
				case !ok:
					note(k, "", v)
				case !py.Equal(c.Run, was, v):
					note(k, was, v)
				}
			})
			before.Pairs(func(k, v any) {
				if _, ok := after.Get(k); !ok {
					note(k, v, "")
				}
			})
			return out
		}),
		"mysql_to_dict":      filter("data key", mysqlToDict),
		"set_dict_key_value": setter(func(_ *jinja.Call, _ any, _ bool, v any) any { return v }),
		"append_dict_key_value": setter(func(c *jinja.Call, was any, there bool, v any) any {
			return grown(c, was, there, []any{v})
		}),
		"extend_dict_key_value": setter(func(c *jinja.Call, was any, there bool, v any) any {
			return grown(c, was, there, py.Collect(c.Run, v))
		}),
		"update_dict_key_value": setter(func(c *jinja.Call, was any, there bool, v any) any {
			if !there {
				was = &py.Dict{}
			}
			mapping(was).Update(c.Run, v)
			return was
		}),
	}
}

func mapping(v any) *py.Dict {
	d, ok := v.(*py.Dict)
	if !ok {
		if u, undefined := v.(*py.Undefined); undefined {
			u.Raise()
		}
		py.Raise("TypeError", "'%s' object is no mapping", py.TypeOf(v))
	}
	return d
}

func grown(c *jinja.Call, was any, there bool, more []any) any {
	if !there {
		return &py.List{Items: more}
	}
	l, ok := was.(*py.List)
	if !ok {
		py.Raise("SaltInvocationError", "The last key contains a %s, which cannot be extended.", py.TypeOf(was))
	}
	c.Elements(len(more))
	l.Items = append(l.Items, more...)
	return l
}

// setter makes a filter that changes the value below nested keys, which it makes when they are missing.
func setter(change func(c *jinja.Call, was any, there bool, v any) any) jinja.Builtin {
	return filter("in_dict keys value delimiter? ordered_dict?", func(c *jinja.Call, b py.Bound) any {
		d := mapping(b[0])
		keys := strings.Split(py.MustText(b[1]), b.Str(c.Run, 3, ":"))
		for _, k := range keys[:len(keys)-1] {
			next, ok := d.Get(k)
			if !ok {
				c.Elements(8)
				next = &py.Dict{}
				d.Set(k, next)
			}
			d = mapping(next)
		}
		last := keys[len(keys)-1]
		was, there := d.Get(last)
		c.Elements(4)
		d.Set(last, change(c, was, there, b[2]))
		return b[0]
	})
}

func mysqlToDict(c *jinja.Call, b py.Bound) any {
	var heads []string
	out := &py.Dict{}
	for _, line := range py.Collect(c.Run, b[0]) {
		text := py.MustText(line)
		if text == "" || text[0] == '+' {
			continue
		}
		cells := strings.Split(text, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(heads) <= 1 {
			heads = cells
			continue
		}
		row := &py.Dict{}
		for i := 1; i < len(heads)-1 && i < len(cells); i++ {
			c.Elements(8)
			var v any = cells[i]
			if n, ok := py.ParseInt(cells[i], 10); ok {
				v = n
			} else if f, ok := py.ParseFloat(cells[i]); ok {
				v = f
			}
			row.Set(heads[i], v)
		}
		key, ok := row.Get(b[1])
		if !ok {
			py.Raise("KeyError", "%s", py.Repr(c.Run, b[1]))
		}
		out.Set(key, row)
	}
	return out
}

func querying() table {
	return table{
		"traverse": filter("data key default? delimiter?", func(c *jinja.Call, b py.Bound) any {
			var keys []any
			if s, ok := py.Text(b[1]); ok {
				for part := range strings.SplitSeq(s, b.Str(c.Run, 3, ":")) {
					keys = append(keys, part)
				}
			} else if _, isInt := b[1].(int64); isInt {
				keys = []any{b[1]}
			} else {
				keys = py.Collect(c.Run, b[1])
			}
			v := b[0]
			for _, k := range keys {
				next, ok := step(c, v, k)
				if !ok {
					return b.Or(2, nil)
				}
				v = next
			}
			return v
		}),
		"json_query": filter("data expr", jsonQuery),
	}
}

// step is one key of traverse.
func step(c *jinja.Call, v, key any) (any, bool) {
	l, ok := v.(*py.List)
	if !ok {
		if d, isDict := v.(*py.Dict); isDict {
			return lookUp(d, key)
		}
		return py.Subscript(c.Run, v, key)
	}
	if s, isText := py.Text(key); isText {
		if n, isNumber := py.ParseInt(s, 10); isNumber {
			key = n
		}
	}
	i := slices.IndexFunc(l.Items, func(item any) bool {
		d, isDict := item.(*py.Dict)
		if !isDict {
			return false
		}
		_, has := d.Get(key)
		return has
	})
	if i >= 0 {
		return l.Items[i].(*py.Dict).Get(key)
	}
	return py.Subscript(c.Run, l, key)
}

// lookUp finds a key that may be no text, but was written as such.
func lookUp(d *py.Dict, key any) (any, bool) {
	if v, ok := d.Get(key); ok {
		return v, true
	}
	s, ok := py.Text(key)
	if !ok {
		return nil, false
	}
	doc, err := yaml.Salt("", []byte(s))
	if err != nil || doc.Kind() != yaml.Scalar {
		return nil, false
	}
	switch k := doc.Data().(type) {
	case int64, float64, bool:
		return d.Get(k)
	}
	return nil, false
}

func jsonQuery(c *jinja.Call, b py.Bound) any {
	expr := py.MustText(b[1])
	c.Alloc(64 * len(expr))
	out, err := jmespath.Search(expr, py.ToData(c.Run, b[0]), func() { c.Elements(4) })
	must(err)
	return py.FromData(c.Run, out)
}
