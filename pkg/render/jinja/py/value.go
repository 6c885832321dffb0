package py

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Markup is text that is safe in HTML: a string to nearly all.
type Markup string

// Bytes are Python's bytes.
type Bytes string

// Tuple is a list that nobody changes.
type Tuple []any

// List is a list that many may hold and change.
type List struct{ Items []any }

// NewList makes a List of items, which it keeps.
func NewList(items ...any) *List { return &List{Items: items} }

// Slice is what stands in brackets with colons. Fields may be nil.
type Slice struct{ Start, Stop, Step any }

// Range is Python's range.
type Range struct{ Start, Stop, Step int64 }

// Len is how many numbers it has.
func (r Range) Len() int {
	switch {
	case r.Step > 0 && r.Start < r.Stop:
		return int((r.Stop-r.Start-1)/r.Step + 1)
	case r.Step < 0 && r.Start > r.Stop:
		return int((r.Start-r.Stop-1)/-r.Step + 1)
	}
	return 0
}

// Undefined stands for what is not there. Using it raises; asking whether it is defined does not.
type Undefined struct {
	Message string
	Kind    string // UndefinedError when empty
	Lenient bool   // it is empty text instead of raising
}

// Raise raises what it stands for, unless it is lenient.
func (u *Undefined) Raise() {
	if !u.Lenient {
		u.raise()
	}
}

func (u *Undefined) raise() {
	kind := u.Kind
	if kind == "" {
		kind = UndefinedError
	}
	Raise(kind, "%s", u.Message)
}

// Kw is one argument that was given by name.
type Kw struct {
	Name  string
	Value any
}

// The interfaces of values that others define.
type (
	// Attributer has attributes.
	Attributer interface {
		Attr(r *Run, name string) (any, bool)
	}
	// Indexer has elements by key.
	Indexer interface {
		Index(r *Run, key any) (any, bool)
	}
	// Callable can be called.
	Callable interface {
		Call(r *Run, args []any, kw []Kw) any
	}
	// Iterable can be walked through.
	Iterable interface {
		Iterate(r *Run) Iter
	}
	// Container answers to in.
	Container interface {
		Contains(r *Run, v any) bool
	}
	// Printer has text of its own.
	Printer interface {
		Print(r *Run) string
	}
	// Typed knows the name of its type.
	Typed interface {
		TypeName() string
	}
)

// Iter gives one element after the other, and false after the last.
type Iter func() (v any, ok bool)

// Generator can be walked through once.
type Generator struct {
	Next Iter
	Name string
}

// Iterate gives what is left.
func (g *Generator) Iterate(*Run) Iter { return g.Next }

// TypeName is generator unless it has a name.
func (g *Generator) TypeName() string {
	if g.Name != "" {
		return g.Name
	}
	return "generator"
}

// Func is a function of ours.
type Func struct {
	Name string
	Type string // builtin_function_or_method when empty
	Fn   func(r *Run, args []any, kw []Kw) any
}

// Call calls it.
func (f *Func) Call(r *Run, args []any, kw []Kw) any { return f.Fn(r, args, kw) }

// TypeName names what kind of function it is.
func (f *Func) TypeName() string {
	if f.Type != "" {
		return f.Type
	}
	return "builtin_function_or_method"
}

// Print is what Python shows, without an address.
func (f *Func) Print(*Run) string {
	switch f.Type {
	case "type":
		return "<class '" + f.Name + "'>"
	case "function":
		return "<function " + f.Name + ">"
	}
	return "<built-in method " + f.Name + ">"
}

// TypeOf names the type of a value as Python does.
func TypeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case Markup:
		return "Markup"
	case Bytes:
		return "bytes"
	case Tuple:
		return "tuple"
	case *List:
		return "list"
	case Range:
		return "range"
	case *Slice:
		return "slice"
	case *Undefined:
		return "StrictUndefined"
	case Typed:
		return v.TypeName()
	}
	return "object"
}

// Text gives the text of a string or Markup.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Markup:
		return string(v), true
	}
	return "", false
}

// Truth is Python's bool.
func Truth(r *Run, v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case Markup:
		return v != ""
	case Bytes:
		return v != ""
	case *big.Int:
		return v.Sign() != 0
	case *Undefined:
		v.Raise()
		return false
	case Tuple:
		return len(v) > 0
	case *List:
		return len(v.Items) > 0
	case interface{ Len() int }:
		return v.Len() > 0
	}
	_ = r
	return true
}

// Len is Python's len.
func Len(v any) int {
	n, ok := Sized(v)
	if !ok {
		Raise("TypeError", "object of type '%s' has no len()", TypeOf(v))
	}
	return n
}

// Sized tells the length of what has one.
func Sized(v any) (int, bool) {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v), true
	case Markup:
		return utf8.RuneCountInString(string(v)), true
	case Bytes:
		return len(v), true
	case Tuple:
		return len(v), true
	case *List:
		return len(v.Items), true
	case *Undefined:
		v.Raise()
		return 0, true
	case interface{ Len() int }:
		return v.Len(), true
	}
	return 0, false
}

// Walk makes an Iter of what can be walked through.
func Walk(r *Run, v any) Iter {
	it, ok := walk(r, v)
	if !ok {
		Raise("TypeError", "'%s' object is not iterable", TypeOf(v))
	}
	return it
}

// IsIterable reports whether Walk works.
func IsIterable(v any) bool {
	switch u := v.(type) {
	case string, Markup, Bytes, Tuple, *List, Range, Iterable:
		return true
	case *Undefined:
		u.Raise()
		return true
	}
	return false
}

func walk(r *Run, v any) (Iter, bool) {
	switch v := v.(type) {
	case *List:
		i := 0
		return func() (any, bool) {
			if i >= len(v.Items) {
				return nil, false
			}
			r.Step(1)
			i++
			return v.Items[i-1], true
		}, true
	case Tuple:
		return sliceIter(r, v), true
	case string:
		return runeIter(r, v), true
	case Markup:
		return runeIter(r, string(v)), true
	case Bytes:
		i := 0
		return func() (any, bool) {
			if i >= len(v) {
				return nil, false
			}
			r.Step(1)
			i++
			return int64(v[i-1]), true
		}, true
	case Range:
		i, n := 0, v.Len()
		return func() (any, bool) {
			if i >= n {
				return nil, false
			}
			r.Step(1)
			i++
			return v.Start + int64(i-1)*v.Step, true
		}, true
	case *Undefined:
		v.Raise()
		return func() (any, bool) { return nil, false }, true
	case Iterable:
		return v.Iterate(r), true
	}
	return nil, false
}

func sliceIter(r *Run, v []any) Iter {
	i := 0
	return func() (any, bool) {
		if i >= len(v) {
			return nil, false
		}
		r.Step(1)
		i++
		return v[i-1], true
	}
}

func runeIter(r *Run, s string) Iter {
	return func() (any, bool) {
		if s == "" {
			return nil, false
		}
		r.Step(1)
		_, n := utf8.DecodeRuneInString(s)
		c := s[:n]
		s = s[n:]
		return c, true
	}
}

// Collect makes a slice of what can be walked through. The slice is the caller's.
func Collect(r *Run, v any) []any {
	switch v := v.(type) {
	case *List:
		r.Elements(len(v.Items))
		return append([]any(nil), v.Items...)
	case Tuple:
		r.Elements(len(v))
		return append([]any(nil), v...)
	case Range:
		r.Alloc(16 * min(v.Len(), 1<<40))
	}
	var out []any
	for next := Walk(r, v); ; {
		item, ok := next()
		if !ok {
			return out
		}
		r.Alloc(16)
		out = append(out, item)
	}
}

// Norm makes an int64 of a number that fits.
func Norm(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func toBig(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// asInt gives the value of an int64 or a bool.
func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			Raise("OverflowError", "int too large to convert to float")
		}
		return f, true
	}
	n, ok := asInt(v)
	return float64(n), ok
}

// IsNumber reports whether v is an int, a float or a bool.
func IsNumber(v any) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// Index gives v as an index, and raises when it is none.
func Index(v any) int {
	if n, ok := asInt(v); ok {
		return int(n)
	}
	switch v := v.(type) {
	case *big.Int:
		if v.Sign() < 0 {
			return math.MinInt32
		}
		return math.MaxInt32 << 16
	case *Undefined:
		v.raise()
	}
	Raise("TypeError", "'%s' object cannot be interpreted as an integer", TypeOf(v))
	return 0
}

// ParseInt reads an integer as Python's int(text, base) does.
func ParseInt(text string, base int) (any, bool) {
	s := strings.TrimSpace(text)
	if len(s) > 4300 {
		return nil, false
	}
	negative := strings.HasPrefix(s, "-")
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if len(s)-len(digits) > 1 || digits == "" || digits[0] == '_' || digits[len(digits)-1] == '_' || strings.Contains(digits, "__") {
		return nil, false
	}
	lower := strings.ToLower(digits)
	for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if strings.HasPrefix(lower, prefix) && (base == b || base == 0) {
			lower, base = strings.TrimPrefix(lower[2:], "_"), b
		}
	}
	if base == 0 {
		if lower[0] == '0' && strings.Trim(lower, "0_") != "" {
			return nil, false
		}
		base = 10
	}
	if lower == "" || lower[0] == '+' || lower[0] == '-' {
		return nil, false
	}
	n, ok := new(big.Int).SetString(strings.ReplaceAll(lower, "_", ""), base)
	if !ok {
		return nil, false
	}
	if negative {
		n.Neg(n)
	}
	return Norm(n), true
}

// ParseFloat reads a number as Python's float(text) does.
func ParseFloat(text string) (float64, bool) {
	s := strings.ToLower(strings.TrimSpace(text))
	if s == "" || strings.Contains(s, "x") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}
