package py

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var background = context.Background()

// Str is Python's str.
func Str(r *Run, v any) string {
	switch v := v.(type) {
	case string:
		return v
	case Markup:
		return string(v)
	case *Undefined:
		v.Raise()
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	case Printer:
		return v.Print(r)
	}
	return Repr(r, v)
}

// Repr is Python's repr.
func Repr(r *Run, v any) string {
	p := printer{r: r}
	p.print(v)
	return p.b.String()
}

type printer struct {
	r    *Run
	b    strings.Builder
	open []any
}

func (p *printer) write(s string) {
	p.r.Step(1)
	p.r.Alloc(len(s))
	p.b.WriteString(s)
}

// enter reports whether v, which holds others, is not being printed already.
func (p *printer) enter(v any, ring string) bool {
	if slices.Contains(p.open, v) {
		p.write(ring)
		return false
	}
	p.open = append(p.open, v)
	if len(p.open) > 500 {
		Raise("RecursionError", "maximum recursion depth exceeded while getting the repr of an object")
	}
	return true
}

func (p *printer) leave() { p.open = p.open[:len(p.open)-1] }

func (p *printer) list(left string, items []any, right string) {
	p.write(left)
	for i, item := range items {
		if i > 0 {
			p.write(", ")
		}
		p.print(item)
	}
	p.write(right)
}

func (p *printer) print(v any) {
	switch v := v.(type) {
	case nil:
		p.write("None")
	case bool:
		if v {
			p.write("True")
		} else {
			p.write("False")
		}
	case int64:
		p.write(strconv.FormatInt(v, 10))
	case *big.Int:
		p.r.Step(v.BitLen())
		p.write(v.String())
	case float64:
		p.write(FloatRepr(v))
	case string:
		p.write(Quote(v))
	case Markup:
		p.write("Markup(" + Quote(string(v)) + ")")
	case Bytes:
		p.write("b" + quoteBytes(string(v)))
	case Tuple:
		p.open = append(p.open, nil)
		if len(p.open) > 500 {
			Raise("RecursionError", "maximum recursion depth exceeded while getting the repr of an object")
		}
		right := ")"
		if len(v) == 1 {
			right = ",)"
		}
		p.list("(", v, right)
		p.leave()
	case *List:
		if p.enter(v, "[...]") {
			p.list("[", v.Items, "]")
			p.leave()
		}
	case *Dict:
		if p.enter(v, "{...}") {
			p.dict(v)
			p.leave()
		}
	case *Set:
		if v.Len() == 0 {
			p.write("set()")
			return
		}
		p.list("{", v.d.Keys(), "}")
	case View:
		if p.enter(v.Of, "...") {
			p.list(v.Kind+"([", Collect(p.r, v), "])")
			p.leave()
		}
	case Range:
		if v.Step == 1 {
			p.write(fmt.Sprintf("range(%d, %d)", v.Start, v.Stop))
		} else {
			p.write(fmt.Sprintf("range(%d, %d, %d)", v.Start, v.Stop, v.Step))
		}
	case *Undefined:
		if !v.Lenient {
			v.raise()
		}
		p.write("Undefined")
	case Printer:
		p.write(v.Print(p.r))
	default:
		p.write("<" + TypeOf(v) + " object>")
	}
}

func (p *printer) dict(d *Dict) {
	p.write("{")
	first := true
	d.Pairs(func(k, v any) {
		if !first {
			p.write(", ")
		}
		first = false
		p.print(k)
		p.write(": ")
		p.print(v)
	})
	p.write("}")
}

// FloatRepr prints a float as Python does: the shortest text that reads back.
func FloatRepr(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if f != 0 && (exp < -4 || exp >= 16) {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// Quote is the repr of text.
func Quote(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for i, c := range s {
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\udc%02x`, s[i])
		case c == rune(quote) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f || c > 0x7f && c < 0x100 && !unicode.IsPrint(c):
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x7f || unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

func quoteBytes(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b := []byte{quote}
	for _, c := range []byte(s) {
		switch {
		case c == quote || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c >= 0x7f:
			b = fmt.Appendf(b, `\x%02x`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, quote))
}
