package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strings"

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
