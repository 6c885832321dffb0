package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// JSONStyle says how JSON is written.
type JSONStyle struct {
	Indent int // less than 0 for one line
	Sorted bool
	ASCII  bool // other characters are escaped
}

// JSON writes a value as Python's json.dumps does.
func JSON(r *py.Run, v any, style JSONStyle) string {
	w := &jsonWriter{r: r, JSONStyle: style}
	w.value(v, 0)
	return w.b.String()
}

type jsonWriter struct {
	JSONStyle
	r *py.Run
	b strings.Builder
}

func (w *jsonWriter) write(s string) {
	w.r.Alloc(len(s))
	w.b.WriteString(s)
}

func (w *jsonWriter) value(v any, depth int) {
	w.r.Step(1)
	if depth > 500 {
		py.Raise("ValueError", "Circular reference detected")
	}
	switch v := v.(type) {
	case nil:
		w.write("null")
	case bool:
		w.write(map[bool]string{true: "true", false: "false"}[v])
	case int64, *big.Int:
		w.write(py.Str(w.r, v))
	case float64:
		w.write(jsonFloat(v))
	case string, py.Markup:
		s, _ := py.Text(v)
		w.write(w.quote(s))
	case *py.List:
		w.list(v.Items, depth)
	case py.Tuple:
		w.list(v, depth)
	case *py.Dict:
		w.dict(v, depth)
	case *py.Undefined:
		v.Raise()
		py.Raise("TypeError", "Object of type Undefined is not JSON serializable")
	default:
		py.Raise("TypeError", "Object of type %s is not JSON serializable", py.TypeOf(v))
	}
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return py.FloatRepr(f)
}

func (w *jsonWriter) line(depth int) {
	if w.Indent >= 0 {
		w.r.Alloc(max(w.Indent, 0) * depth)
		w.b.WriteString("\n" + strings.Repeat(" ", w.Indent*depth))
	}
}

func (w *jsonWriter) comma(i int) {
	if i > 0 {
		w.write(map[bool]string{true: ", ", false: ","}[w.Indent < 0])
	}
}

func (w *jsonWriter) list(items []any, depth int) {
	if len(items) == 0 {
		w.write("[]")
		return
	}
	w.write("[")
	for i, item := range items {
		w.comma(i)
		w.line(depth + 1)
		w.value(item, depth+1)
	}
	w.line(depth)
	w.write("]")
}

func (w *jsonWriter) dict(d *py.Dict, depth int) {
	if d.Len() == 0 {
		w.write("{}")
		return
	}
	keys := d.Keys()
	if w.Sorted {
		py.Sort(w.r, keys, nil, false)
	}
	w.write("{")
	for i, k := range keys {
		w.comma(i)
		w.line(depth + 1)
		w.write(w.quote(w.key(k)) + ": ")
		v, _ := d.Get(k)
		w.value(v, depth+1)
	}
	w.line(depth)
	w.write("}")
}

func (w *jsonWriter) key(k any) string {
	switch k := k.(type) {
	case nil:
		return "null"
	case bool:
		return map[bool]string{true: "true", false: "false"}[k]
	case float64:
		return jsonFloat(k)
	case string, py.Markup, int64, *big.Int:
		return py.Str(w.r, k)
	}
	py.Raise("TypeError", "keys must be str, int, float, bool or None, not %s", py.TypeOf(k))
	return ""
}

func (w *jsonWriter) quote(s string) string {
	w.r.Alloc(len(s))
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c < ' ' || w.ASCII && c >= 0x7f && c <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, c)
		case w.ASCII && c > 0xffff:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Pretty is Python's pprint.pformat: one line when it fits into 80 characters, keys sorted.
func Pretty(r *py.Run, v any) string {
	p := &pretty{r: r}
	p.print(v, 0, 0, 0)
	return p.b.String()
}

type pretty struct {
	r *py.Run
	b strings.Builder
}

// print writes v at a column, with a number of characters that come behind it.
func (p *pretty) print(v any, column, behind, depth int) {
	if depth > 200 {
		py.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	flat := py.Repr(p.r, ordered(p.r, v, 0))
	if utf8.RuneCountInString(flat) <= 80-column-behind {
		p.b.WriteString(flat)
		return
	}
	switch v := v.(type) {
	case *py.List:
		p.items("[", v.Items, "]", column, behind, depth)
	case py.Tuple:
		right := ")"
		if len(v) == 1 {
			right = ",)"
		}
		p.items("(", v, right, column, behind, depth)
	case *py.Dict:
		keys := sortedKeys(p.r, v)
		p.b.WriteString("{")
		for i, k := range keys {
			p.between(i, column)
			key := py.Repr(p.r, k) + ": "
			p.b.WriteString(key)
			value, _ := v.Get(k)
			p.print(value, column+1+utf8.RuneCountInString(key), p.last(i, len(keys), behind), depth+1)
		}
		p.b.WriteString("}")
	default:
		p.b.WriteString(flat)
	}
}

func (p *pretty) last(i, n, behind int) int {
	if i == n-1 {
		return behind + 1
	}
	return 1
}

func (p *pretty) between(i, column int) {
	if i > 0 {
		p.r.Alloc(column + 3)
		p.b.WriteString(",\n" + strings.Repeat(" ", column+1))
	}
}

func (p *pretty) items(left string, items []any, right string, column, behind, depth int) {
	p.b.WriteString(left)
	for i, item := range items {
		p.between(i, column)
		p.print(item, column+1, p.last(i, len(items), behind), depth+1)
	}
	p.b.WriteString(right)
}

// sortedKeys gives keys in the order that pprint gives them.
func sortedKeys(r *py.Run, d *py.Dict) []any {
	keys := d.Keys()
	r.Elements(len(keys))
	slices.SortStableFunc(keys, func(a, b any) int {
		switch {
		case py.TypeOf(a) != py.TypeOf(b) && !(py.IsNumber(a) && py.IsNumber(b)) || a == nil:
			return strings.Compare(py.TypeOf(a), py.TypeOf(b))
		case py.Less(r, a, b):
			return -1
		case py.Less(r, b, a):
			return 1
		}
		return 0
	})
	return keys
}

// ordered is v with the keys of all its mappings sorted.
func ordered(r *py.Run, v any, depth int) any {
	if depth > 200 {
		py.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	all := func(items []any) []any {
		r.Elements(len(items))
		out := make([]any, len(items))
		for i := range items {
			out[i] = ordered(r, items[i], depth+1)
		}
		return out
	}
	switch v := v.(type) {
	case *py.List:
		return &py.List{Items: all(v.Items)}
	case py.Tuple:
		return py.Tuple(all(v))
	case *py.Dict:
		out := &py.Dict{}
		for _, k := range sortedKeys(r, v) {
			value, _ := v.Get(k)
			r.Elements(4)
			out.Set(k, ordered(r, value, depth+1))
		}
		return out
	}
	return v
}
