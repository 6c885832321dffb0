package py

import (
	"math"
	"math/big"
	"strings"
)

// Dict is Python's dict: it keeps the order in which keys came. The zero Dict is empty and ready for use.
type Dict struct {
	keys, values []any
	index        map[any]int // a key, as hash gives it, to its place
	gone         int         // places that were deleted
	// Type is how Python calls it in errors; dict when empty.
	Type string
}

type (
	hashedNone  struct{}
	hashedBig   string
	hashedTuple string
	gone        struct{}
)

// NewDict makes a Dict of keys and values that alternate.
func NewDict(pairs ...any) *Dict {
	d := &Dict{}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.Set(pairs[i], pairs[i+1])
	}
	return d
}

// hash gives what stands for a key in a Go map, so that 1, 1.0 and True are one.
func hash(key any) any {
	switch k := key.(type) {
	case nil:
		return hashedNone{}
	case string, int64:
		return k
	case Markup:
		return string(k)
	case Bytes:
		return k
	case bool:
		if k {
			return int64(1)
		}
		return int64(0)
	case float64:
		if k == math.Trunc(k) && math.Abs(k) < 1<<62 {
			return int64(k)
		}
		return k
	case *big.Int:
		return hashedBig(k.String())
	case Tuple:
		var b strings.Builder
		hashTuple(&b, k, 0)
		return hashedTuple(b.String())
	case Range:
		return k
	case *Undefined:
		k.raise()
	case *List, *Dict, *Slice:
		Raise("TypeError", "unhashable type: '%s'", TypeOf(key))
	case *Set:
		Raise("TypeError", "unhashable type: 'set'")
	}
	return key
}

func hashTuple(b *strings.Builder, t Tuple, depth int) {
	if depth > 50 || b.Len() > 1<<20 {
		Raise(LimitError, "a key is too large")
	}
	for _, v := range t {
		switch h := v.(type) {
		case Tuple:
			b.WriteString("(")
			hashTuple(b, h, depth+1)
			b.WriteString(")")
		default:
			s := repr(v)
			switch k := hash(v).(type) {
			case string:
				s = "'" + k
			case int64:
				s = repr(k)
			}
			b.WriteString(repr(int64(len(s))) + ":" + s)
		}
	}
}

func repr(v any) string {
	return Repr(&Run{steps: 1 << 20, bytes: 1 << 20, ctx: background}, v)
}

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) - d.gone }

// TypeName is how Python calls it.
func (d *Dict) TypeName() string {
	if d.Type != "" {
		return d.Type
	}
	return "dict"
}

// Get gives the value of a key.
func (d *Dict) Get(key any) (any, bool) {
	i, ok := d.index[hash(key)]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// Set gives a key a value.
func (d *Dict) Set(key, value any) {
	h := hash(key)
	if i, ok := d.index[h]; ok {
		d.values[i] = value
		return
	}
	if d.index == nil {
		d.index = map[any]int{}
	}
	d.index[h] = len(d.keys)
	d.keys, d.values = append(d.keys, key), append(d.values, value)
}

// Delete removes a key and gives the value it had.
func (d *Dict) Delete(key any) (any, bool) {
	h := hash(key)
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	v := d.values[i]
	delete(d.index, h)
	d.keys[i], d.values[i] = gone{}, nil
	d.gone++
	if d.gone > 16 && d.gone > len(d.keys)/2 {
		d.compact()
	}
	return v, true
}

func (d *Dict) compact() {
	keys, values := d.keys[:0], d.values[:0]
	for i, k := range d.keys {
		if k != (gone{}) {
			d.index[hash(k)] = len(keys)
			keys, values = append(keys, k), append(values, d.values[i])
		}
	}
	d.keys, d.values, d.gone = keys, values, 0
}

// Clear removes all keys.
func (d *Dict) Clear() { *d = Dict{Type: d.Type} }

// Keys gives the keys in their order. The slice is the caller's.
func (d *Dict) Keys() []any {
	keys := make([]any, 0, d.Len())
	for _, k := range d.keys {
		if _, deleted := k.(gone); !deleted {
			keys = append(keys, k)
		}
	}
	return keys
}

// Pairs calls f for each key and value in their order.
func (d *Dict) Pairs(f func(k, v any)) {
	for i := 0; i < len(d.keys); i++ {
		if _, deleted := d.keys[i].(gone); !deleted {
			f(d.keys[i], d.values[i])
		}
	}
}

// Copy makes a Dict with the same values.
func (d *Dict) Copy(r *Run) *Dict {
	r.Elements(4 * d.Len())
	out := &Dict{}
	d.Pairs(out.Set)
	return out
}

// Update sets all that a mapping or a list of pairs holds.
func (d *Dict) Update(r *Run, from any) {
	r.Step(1)
	switch from := from.(type) {
	case *Dict:
		r.Elements(4 * from.Len())
		if from != d {
			from.Pairs(d.Set)
		}
		return
	case *Undefined:
		from.Raise()
		return
	}
	i := 0
	for next := Walk(r, from); ; i++ {
		item, ok := next()
		if !ok {
			return
		}
		if !IsIterable(item) {
			Raise("TypeError", "cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		pair := Collect(r, item)
		if len(pair) != 2 {
			Raise("ValueError", "dictionary update sequence element #%d has length %d; 2 is required", i, len(pair))
		}
		r.Elements(4)
		d.Set(pair[0], pair[1])
	}
}

func (d *Dict) walk(r *Run, give func(i int) any) Iter {
	i, n := 0, d.Len()
	return func() (any, bool) {
		for ; i < len(d.keys); i++ {
			if d.Len() != n {
				Raise("RuntimeError", "dictionary changed size during iteration")
			}
			if _, deleted := d.keys[i].(gone); !deleted {
				r.Step(1)
				i++
				return give(i - 1), true
			}
		}
		return nil, false
	}
}

// Iterate gives the keys.
func (d *Dict) Iterate(r *Run) Iter { return d.walk(r, func(i int) any { return d.keys[i] }) }

// View is what keys(), values() and items() give: it follows its Dict.
type View struct {
	Of   *Dict
	Kind string // dict_keys, dict_values, dict_items
}

// Len is the number of keys.
func (v View) Len() int { return v.Of.Len() }

// TypeName is its kind.
func (v View) TypeName() string { return v.Kind }

// Iterate gives keys, values or pairs.
func (v View) Iterate(r *Run) Iter {
	return v.Of.walk(r, func(i int) any {
		switch v.Kind {
		case "dict_keys":
			return v.Of.keys[i]
		case "dict_values":
			return v.Of.values[i]
		}
		return Tuple{v.Of.keys[i], v.Of.values[i]}
	})
}

// Set is Python's set, in the order in which its elements came.
type Set struct{ d Dict }

// NewSet makes a Set of what can be walked through.
func NewSet(r *Run, from any) *Set {
	s := &Set{}
	if from == nil {
		return s
	}
	for next := Walk(r, from); ; {
		v, ok := next()
		if !ok {
			return s
		}
		r.Elements(4)
		s.Add(v)
	}
}

// Len is the number of elements.
func (s *Set) Len() int { return s.d.Len() }

// TypeName is set.
func (s *Set) TypeName() string { return "set" }

// Add puts an element in.
func (s *Set) Add(v any) {
	if !s.Has(v) {
		s.d.Set(v, nil)
	}
}

// Has reports whether an element is in it.
func (s *Set) Has(v any) bool { _, ok := s.d.Get(v); return ok }

// Iterate gives the elements.
func (s *Set) Iterate(r *Run) Iter { return s.d.Iterate(r) }
