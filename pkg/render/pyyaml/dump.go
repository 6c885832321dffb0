// Package pyyaml writes YAML as PyYAML's safe_dump does, to the character: what it quotes, where it folds lines, how it
// indents. Salt's yaml filters give that, and templates are compared with what Salt gave.
package pyyaml

import (
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

// Style says how YAML is written. The zero Style is a block style with sorted keys.
type Style struct {
	Flow     bool // {a: [b]} instead of lines
	Unsorted bool // keys stay in their order
}

// Dump writes a value of package data. What ends in a line break does; a plain scalar also has PyYAML's "..." behind it.
func Dump(v any, s Style) string {
	e := newEmitter(80, true)
	e.Style = s
	e.indent = -1
	e.node(v, context{root: true})
	e.lineBreak()
	if e.openEnded {
		e.write("...")
		e.lineBreak()
	}
	return e.b.String()
}

// Scalar gives the text of a scalar, and whether it is text; ok is false for lists and mappings.
func Scalar(v any) (text string, isText, ok bool) {
	switch v := v.(type) {
	case nil:
		return "null", false, true
	case bool:
		return strconv.FormatBool(v), false, true
	case int64:
		return strconv.FormatInt(v, 10), false, true
	case *big.Int:
		return v.String(), false, true
	case float64:
		return floatText(v), false, true
	case string:
		return v, true, true
	}
	return "", false, false
}

func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return ".nan"
	case math.IsInf(f, 1):
		return ".inf"
	case math.IsInf(f, -1):
		return "-.inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exp, _ := strings.Cut(s, "e")
	if n, _ := strconv.Atoi(exp); f == 0 || n >= -4 && n < 16 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return mantissa + "e" + exp
}

// context is where a node stands.
type context struct {
	root, mapping, simpleKey bool
}

func (e *emitter) node(v any, c context) {
	switch v := v.(type) {
	case []any:
		if e.flow > 0 || e.Flow || len(v) == 0 {
			e.flowList(v)
		} else {
			e.blockList(v, c)
		}
	case *data.Map:
		if e.flow > 0 || e.Flow || v.Len() == 0 {
			e.flowMap(v)
		} else {
			e.blockMap(v)
		}
	default:
		e.scalar(v, c)
	}
}

// deeper indents what follows; the function it returns goes back.
func (e *emitter) deeper(flow, indentless bool) func() {
	was := e.indent
	switch {
	case e.indent < 0 && flow:
		e.indent = 2
	case e.indent < 0:
		e.indent = 0
	case !indentless:
		e.indent += 2
	}
	return func() { e.indent = was }
}

func (e *emitter) fold() {
	if e.column > e.width {
		e.newLine()
	}
}

func (e *emitter) flowList(v []any) {
	e.indicator("[", true, true, false)
	e.flow++
	back := e.deeper(true, false)
	for i, item := range v {
		if i > 0 {
			e.indicator(",", false, false, false)
		}
		e.fold()
		e.node(item, context{})
	}
	back()
	e.flow--
	e.indicator("]", false, false, false)
}

func (e *emitter) flowMap(m *data.Map) {
	e.indicator("{", true, true, false)
	e.flow++
	back := e.deeper(true, false)
	for i, k := range e.keys(m) {
		if i > 0 {
			e.indicator(",", false, false, false)
		}
		e.fold()
		value, _ := m.Get(k)
		if simple(k) {
			e.node(k, context{mapping: true, simpleKey: true})
			e.indicator(":", false, false, false)
		} else {
			e.indicator("?", true, false, false)
			e.node(k, context{mapping: true})
			e.fold()
			e.indicator(":", true, false, false)
		}
		e.node(value, context{mapping: true})
	}
	back()
	e.flow--
	e.indicator("}", false, false, false)
}

func (e *emitter) blockList(v []any, c context) {
	back := e.deeper(false, c.mapping && !e.indention)
	for _, item := range v {
		e.newLine()
		e.indicator("-", true, false, true)
		e.node(item, context{})
	}
	back()
}

func (e *emitter) blockMap(m *data.Map) {
	back := e.deeper(false, false)
	for _, k := range e.keys(m) {
		e.newLine()
		value, _ := m.Get(k)
		if simple(k) {
			e.node(k, context{mapping: true, simpleKey: true})
			e.indicator(":", false, false, false)
		} else {
			e.indicator("?", true, false, true)
			e.node(k, context{mapping: true})
			e.newLine()
			e.indicator(":", true, false, true)
		}
		e.node(value, context{mapping: true})
	}
	back()
}

// simple reports whether a key can stand before its colon.
func simple(key any) bool {
	text, _, _ := Scalar(key)
	return len([]rune(text)) < 128 && text != "" && !strings.ContainsAny(text, "\n\u0085\u2028\u2029")
}

func (e *emitter) keys(m *data.Map) []any {
	keys := m.Keys()
	if e.Unsorted {
		return keys
	}
	rank := func(k any) int {
		switch k.(type) {
		case string:
			return 1
		case nil:
			return 2
		}
		return 0
	}
	for _, k := range keys { // Python cannot sort these together, and leaves them
		if rank(k) != rank(keys[0]) {
			return keys
		}
	}
	slices.SortStableFunc(keys, func(a, b any) int {
		if s, ok := a.(string); ok {
			return strings.Compare(s, b.(string))
		}
		x, y := number(a), number(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return keys
}

func number(v any) float64 {
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// looksElse reports whether plain text would be read as something else than text.
func looksElse(s string) bool { return other.MatchString(s) }

var other = regexp.MustCompile(`^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|~|null|Null|NULL||=|<<|` +
	`[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+|` +
	`[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|` +
	`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|` +
	`[0-9]{4}-[0-9]{2}-[0-9]{2}|` +
	`[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?)$`)

func (e *emitter) scalar(v any, c context) {
	text, isText, _ := Scalar(v)
	runes := []rune(text)
	a := analyze(runes, e.unicode)
	plain := !isText || !looksElse(text)
	split := !c.simpleKey
	defer e.deeper(true, false)()
	switch {
	case plain && (!c.simpleKey || !a.empty && !a.multiline) && (e.flow > 0 && a.flowPlain || e.flow == 0 && a.blockPlain):
		e.plain(runes, split)
		e.openEnded = c.root
	case a.single && (!c.simpleKey || !a.multiline):
		e.single(runes, split)
	default:
		e.double(runes, split)
	}
}

// Double gives text in double quotes on one line, other than ASCII escaped.
func Double(text string) string {
	e := newEmitter(math.MaxInt, false)
	e.double([]rune(text), true)
	return e.b.String()
}

// Single gives text in single quotes on one line, but for its own line breaks.
func Single(text string) string {
	e := newEmitter(math.MaxInt, false)
	e.single([]rune(text), true)
	return e.b.String()
}
