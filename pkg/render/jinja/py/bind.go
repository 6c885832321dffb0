package py

import (
	"slices"
	"strings"
)

type missing struct{}

// Bound are the arguments of one call, in the order of the function's parameters.
type Bound []any

// Bind puts arguments in the order of a function's parameters. A name with a question mark may be left out; a star takes
// all further arguments as a Tuple, two stars all further names as a Dict.
func Bind(name string, params []string, args []any, kw []Kw) Bound {
	b := make(Bound, len(params))
	used := 0
	for i, p := range params {
		switch {
		case p == "*":
			b[i] = Tuple(slices.Clone(args[min(i, len(args)):]))
			used = len(args)
		case p == "**":
			rest := &Dict{}
			for _, k := range kw {
				if !takes(params, k.Name) {
					rest.Set(k.Name, k.Value)
				}
			}
			b[i] = rest
		case i < len(args) && used == i:
			b[i] = args[i]
			used++
		default:
			b[i] = missing{}
		}
	}
	if used < len(args) {
		Raise("TypeError", "%s() takes %d positional arguments but %d were given", name, len(params), len(args))
	}
	for _, k := range kw {
		i := slices.IndexFunc(params, func(p string) bool { return strings.TrimSuffix(p, "?") == k.Name })
		switch {
		case i >= 0 && b.Has(i):
			Raise("TypeError", "%s() got multiple values for argument '%s'", name, k.Name)
		case i >= 0:
			b[i] = k.Value
		case !slices.Contains(params, "**"):
			Raise("TypeError", "%s() got an unexpected keyword argument '%s'", name, k.Name)
		}
	}
	for i, p := range params {
		if !b.Has(i) && !strings.HasSuffix(p, "?") {
			Raise("TypeError", "%s() missing 1 required positional argument: '%s'", name, p)
		}
	}
	return b
}

func takes(params []string, name string) bool {
	return slices.ContainsFunc(params, func(p string) bool { return strings.TrimSuffix(p, "?") == name })
}

// Has reports whether an argument was given.
func (b Bound) Has(i int) bool { _, none := b[i].(missing); return !none }

// Or gives an argument, or another value when it was not given.
func (b Bound) Or(i int, otherwise any) any {
	if b.Has(i) {
		return b[i]
	}
	return otherwise
}

// Str gives an argument's text.
func (b Bound) Str(r *Run, i int, otherwise string) string {
	if b.Has(i) {
		return Str(r, b[i])
	}
	return otherwise
}

// Text gives an argument that must be text.
func (b Bound) Text(i int, otherwise string) string {
	if !b.Has(i) {
		return otherwise
	}
	return MustText(b[i])
}

// MustText gives the text of a string and raises when v is none.
func MustText(v any) string {
	s, ok := Text(v)
	if !ok {
		if u, ok := v.(*Undefined); ok {
			u.Raise()
			return ""
		}
		Raise("TypeError", "expected string or bytes-like object, got '%s'", TypeOf(v))
	}
	return s
}

// Int gives an argument that must be an integer.
func (b Bound) Int(i, otherwise int) int {
	if b.Has(i) {
		return Index(b[i])
	}
	return otherwise
}

// Bool gives the truth of an argument.
func (b Bound) Bool(r *Run, i int, otherwise bool) bool {
	if b.Has(i) {
		return Truth(r, b[i])
	}
	return otherwise
}
