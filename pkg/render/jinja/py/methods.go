package py

import (
	"math"
	"math/big"
	"slices"
	"sort"
)

// method is a method of a type of Python's.
type method struct {
	params []string // as Bind takes them
	run    func(r *Run, self any, b Bound) any
}

// Attr gives an attribute of a value: a method, or what its type defines.
func Attr(r *Run, v any, name string) (any, bool) {
	var table map[string]method
	switch v := v.(type) {
	case string, Markup:
		if name == "format" || name == "format_map" {
			return formatMethod(v, name), true
		}
		table = strMethods
	case *List:
		table = listMethods
	case *Dict:
		table = dictMethods
	case Tuple, Range:
		table = tupleMethods
	case *Set:
		table = setMethods
	case Bytes:
		table = bytesMethods
	case bool, int64, *big.Int, float64:
		return numberAttr(v, name)
	case *Undefined:
		v.raise()
	case Attributer:
		return v.Attr(r, name)
	}
	m, ok := table[name]
	if !ok {
		return nil, false
	}
	return &Func{Name: name, Fn: func(r *Run, args []any, kw []Kw) any {
		r.Step(1)
		return m.run(r, v, Bind(name, m.params, args, kw))
	}}, true
}

func numberAttr(v any, name string) (any, bool) {
	give := func(out any) (any, bool) {
		return &Func{Name: name, Fn: func(_ *Run, args []any, kw []Kw) any {
			Bind(name, nil, args, kw)
			return out
		}}, true
	}
	f, isFloat := v.(float64)
	switch name {
	case "real":
		return v, true
	case "imag":
		return int64(0), !isFloat
	case "bit_length":
		if n, ok := toBig(v); ok {
			return give(int64(n.BitLen()))
		}
	case "is_integer":
		if isFloat {
			return give(f == math.Trunc(f))
		}
	case "conjugate":
		return give(v)
	}
	return nil, false
}

var listMethods = map[string]method{
	"append": {[]string{"object"}, func(r *Run, self any, b Bound) any {
		l := self.(*List)
		r.Alloc(32)
		l.Items = append(l.Items, b[0])
		return nil
	}},
	"extend": {[]string{"iterable"}, func(r *Run, self any, b Bound) any {
		l := self.(*List)
		l.Items = append(l.Items, Collect(r, b[0])...)
		return nil
	}},
	"insert": {[]string{"index", "object"}, func(r *Run, self any, b Bound) any {
		l := self.(*List)
		i := Index(b[0])
		if i < 0 {
			i += len(l.Items)
		}
		r.Alloc(32)
		r.Step(len(l.Items) >> 6)
		l.Items = slices.Insert(l.Items, min(max(i, 0), len(l.Items)), b[1])
		return nil
	}},
	"pop": {[]string{"index?"}, func(r *Run, self any, b Bound) any {
		l := self.(*List)
		if len(l.Items) == 0 {
			Raise("IndexError", "pop from empty list")
		}
		i := b.Int(0, -1)
		if i < 0 {
			i += len(l.Items)
		}
		if i < 0 || i >= len(l.Items) {
			Raise("IndexError", "pop index out of range")
		}
		v := l.Items[i]
		r.Step(len(l.Items) >> 6)
		l.Items = slices.Delete(l.Items, i, i+1)
		return v
	}},
	"remove": {[]string{"value"}, func(r *Run, self any, b Bound) any {
		l := self.(*List)
		i := slices.IndexFunc(l.Items, func(v any) bool { return Equal(r, v, b[0]) })
		if i < 0 {
			Raise("ValueError", "list.remove(x): x not in list")
		}
		l.Items = slices.Delete(l.Items, i, i+1)
		return nil
	}},
	"clear": {nil, func(_ *Run, self any, _ Bound) any { self.(*List).Items = nil; return nil }},
	"copy":  {nil, func(r *Run, self any, _ Bound) any { return &List{Items: Collect(r, self)} }},
	"reverse": {nil, func(r *Run, self any, _ Bound) any {
		l := self.(*List)
		r.Step(len(l.Items))
		slices.Reverse(l.Items)
		return nil
	}},
	"sort": {[]string{"key?", "reverse?"}, func(r *Run, self any, b Bound) any {
		l := self.(*List)
		var key func(any) any
		if c, ok := b.Or(0, nil).(Callable); ok {
			key = func(v any) any { return c.Call(r, []any{v}, nil) }
		}
		items := slices.Clone(l.Items)
		Sort(r, items, key, b.Bool(r, 1, false))
		l.Items = items
		return nil
	}},
	"count": tupleMethods["count"],
	"index": tupleMethods["index"],
}

var tupleMethods = map[string]method{
	"count": {[]string{"value"}, func(r *Run, self any, b Bound) any {
		n := int64(0)
		for _, v := range Collect(r, self) {
			if Equal(r, v, b[0]) {
				n++
			}
		}
		return n
	}},
	"index": {[]string{"value", "start?", "stop?"}, func(r *Run, self any, b Bound) any {
		items := Collect(r, self)
		start, _, count := (&Slice{Start: b.Or(1, nil), Stop: b.Or(2, nil)}).bounds(len(items))
		for i := start; i < start+count; i++ {
			if Equal(r, items[i], b[0]) {
				return int64(i)
			}
		}
		Raise("ValueError", "%s is not in list", Repr(r, b[0]))
		return nil
	}},
}

// Sort sorts items, stable, by a key that may be nil.
func Sort(r *Run, items []any, key func(any) any, reverse bool) {
	r.Elements(len(items))
	keys := items
	if key != nil {
		keys = make([]any, len(items))
		for i, v := range items {
			keys[i] = key(v)
		}
	}
	s := sorter{r: r, items: items, keys: keys, reverse: reverse, same: key == nil}
	sort.Stable(s)
}

type sorter struct {
	r             *Run
	items, keys   []any
	reverse, same bool
}

func (s sorter) Len() int { return len(s.items) }

func (s sorter) Less(i, j int) bool {
	if s.reverse {
		i, j = j, i
	}
	return Less(s.r, s.keys[i], s.keys[j])
}

func (s sorter) Swap(i, j int) {
	s.items[i], s.items[j] = s.items[j], s.items[i]
	if !s.same {
		s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
	}
}

func view(kind string) method {
	return method{nil, func(_ *Run, self any, _ Bound) any { return View{Of: self.(*Dict), Kind: kind} }}
}

var dictMethods = map[string]method{
	"keys":   view("dict_keys"),
	"values": view("dict_values"),
	"items":  view("dict_items"),
	"get": {[]string{"key", "default?"}, func(_ *Run, self any, b Bound) any {
		if v, ok := self.(*Dict).Get(b[0]); ok {
			return v
		}
		return b.Or(1, nil)
	}},
	"update": {[]string{"*", "**"}, func(r *Run, self any, b Bound) any {
		d := self.(*Dict)
		from := b[0].(Tuple)
		if len(from) > 1 {
			Raise("TypeError", "update expected at most 1 argument, got %d", len(from))
		}
		for _, f := range from {
			d.Update(r, f)
		}
		d.Update(r, b[1])
		return nil
	}},
	"setdefault": {[]string{"key", "default?"}, func(r *Run, self any, b Bound) any {
		d := self.(*Dict)
		if v, ok := d.Get(b[0]); ok {
			return v
		}
		r.Elements(4)
		d.Set(b[0], b.Or(1, nil))
		return b.Or(1, nil)
	}},
	"pop": {[]string{"key", "default?"}, func(r *Run, self any, b Bound) any {
		d := self.(*Dict)
		r.Step(d.Len() >> 8)
		if v, ok := d.Delete(b[0]); ok {
			return v
		}
		if !b.Has(1) {
			Raise("KeyError", "%s", Repr(r, b[0]))
		}
		return b[1]
	}},
	"popitem": {nil, func(_ *Run, self any, _ Bound) any {
		d := self.(*Dict)
		if d.Len() == 0 {
			Raise("KeyError", "'popitem(): dictionary is empty'")
		}
		keys := d.Keys()
		last := keys[len(keys)-1]
		v, _ := d.Delete(last)
		return Tuple{last, v}
	}},
	"clear": {nil, func(_ *Run, self any, _ Bound) any { self.(*Dict).Clear(); return nil }},
	"copy":  {nil, func(r *Run, self any, _ Bound) any { return self.(*Dict).Copy(r) }},
	"fromkeys": {[]string{"iterable", "value?"}, func(r *Run, _ any, b Bound) any {
		d := &Dict{}
		for _, k := range Collect(r, b[0]) {
			r.Elements(4)
			d.Set(k, b.Or(1, nil))
		}
		return d
	}},
	"has_key": {[]string{"key"}, func(_ *Run, self any, b Bound) any { _, ok := self.(*Dict).Get(b[0]); return ok }},
}

var setMethods = map[string]method{
	"add": {[]string{"value"}, func(r *Run, self any, b Bound) any {
		r.Elements(4)
		self.(*Set).Add(b[0])
		return nil
	}},
	"discard": {[]string{"value"}, func(_ *Run, self any, b Bound) any { self.(*Set).d.Delete(b[0]); return nil }},
	"remove": {[]string{"value"}, func(r *Run, self any, b Bound) any {
		if _, ok := self.(*Set).d.Delete(b[0]); !ok {
			Raise("KeyError", "%s", Repr(r, b[0]))
		}
		return nil
	}},
	"update": {[]string{"*"}, func(r *Run, self any, b Bound) any {
		for _, from := range b[0].(Tuple) {
			for _, v := range Collect(r, from) {
				r.Elements(4)
				self.(*Set).Add(v)
			}
		}
		return nil
	}},
	"union": {[]string{"*"}, func(r *Run, self any, b Bound) any {
		s := NewSet(r, self)
		for _, from := range b[0].(Tuple) {
			for _, v := range Collect(r, from) {
				r.Elements(4)
				s.Add(v)
			}
		}
		return s
	}},
	"intersection": {[]string{"other"}, func(r *Run, self any, b Bound) any {
		return self.(*Set).filter(r, NewSet(r, b[0]).Has)
	}},
	"difference": {[]string{"other"}, func(r *Run, self any, b Bound) any {
		other := NewSet(r, b[0])
		return self.(*Set).filter(r, func(v any) bool { return !other.Has(v) })
	}},
	"issubset": {[]string{"other"}, func(r *Run, self any, b Bound) any {
		s := self.(*Set)
		return s.filter(r, NewSet(r, b[0]).Has).Len() == s.Len()
	}},
	"issuperset": {[]string{"other"}, func(r *Run, self any, b Bound) any {
		other := NewSet(r, b[0])
		return other.filter(r, self.(*Set).Has).Len() == other.Len()
	}},
	"copy":  {nil, func(r *Run, self any, _ Bound) any { return NewSet(r, self) }},
	"clear": {nil, func(_ *Run, self any, _ Bound) any { self.(*Set).d.Clear(); return nil }},
}
