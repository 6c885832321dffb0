package py

import (
	"math/big"

	"github.com/brine-deploy/brine/pkg/data"
)

// FromData makes values of those of package data. Lists and mappings are copied, so that templates may change them.
func FromData(r *Run, v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *big.Int:
		return v
	case []any:
		r.Elements(len(v))
		items := make([]any, len(v))
		for i := range v {
			items[i] = FromData(r, v[i])
		}
		return &List{Items: items}
	case *data.Map:
		r.Elements(4 * v.Len())
		d := &Dict{}
		for k, value := range v.All() {
			d.Set(FromData(r, k), FromData(r, value))
		}
		return d
	}
	return FromData(r, data.From(v))
}

// ToData makes values of package data of any others. What it does not know becomes text.
func ToData(r *Run, v any) any { return toData(r, v, 0) }

func toData(r *Run, v any, depth int) any {
	if depth > 500 {
		Raise("RecursionError", "maximum recursion depth exceeded")
	}
	r.Step(1)
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *big.Int:
		return v
	case Markup:
		return string(v)
	case Bytes:
		return string(v)
	case *Dict:
		r.Elements(4 * v.Len())
		m := &data.Map{}
		v.Pairs(func(k, value any) {
			switch key := k.(type) {
			case nil, bool, int64, float64, string:
				m.Set(key, toData(r, value, depth+1))
			default:
				m.Set(Str(r, k), toData(r, value, depth+1))
			}
		})
		return m
	case *Undefined:
		v.Raise()
		return ""
	case Tuple, *List, *Set, Range, View, *Generator:
		items := Collect(r, v)
		list := make([]any, len(items))
		for i := range items {
			list[i] = toData(r, items[i], depth+1)
		}
		return list
	}
	return Str(r, v)
}
