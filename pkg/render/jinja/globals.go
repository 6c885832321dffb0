package jinja

import (
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// global is a function that every template can call.
type global struct {
	name string
	Builtin
}

// Function makes a global function of a Builtin.
func Function(name string, b Builtin) any { return &global{name, b} }

// TypeName is Python's.
func (g *global) TypeName() string { return "function" }

// Print is Python's, without an address.
func (g *global) Print(*py.Run) string { return "<function " + g.name + ">" }

// MaxRange is how far range goes, as in Jinja's sandbox.
const MaxRange = 100_000

// Globals are Jinja's own. The map is the caller's.
func Globals() map[string]any {
	return map[string]any{
		"range": Function("range", Builtin{[]string{"start", "stop?", "step?"}, rangeOf}),
		"dict": Function("dict", Builtin{[]string{"*", "**"}, func(c *Call, b py.Bound) any {
			d := &py.Dict{}
			for _, from := range b[0].(py.Tuple) {
				d.Update(c.Run, from)
			}
			d.Update(c.Run, b[1])
			return d
		}}),
		"namespace": Function("namespace", Builtin{[]string{"*", "**"}, func(c *Call, b py.Bound) any {
			ns := &namespace{}
			for _, from := range b[0].(py.Tuple) {
				ns.d.Update(c.Run, from)
			}
			ns.d.Update(c.Run, b[1])
			return ns
		}}),
		"cycler": Function("cycler", Builtin{[]string{"*"}, func(_ *Call, b py.Bound) any {
			items := b[0].(py.Tuple)
			if len(items) == 0 {
				py.Raise("RuntimeError", "at least one item has to be provided")
			}
			return &cycler{items: items}
		}}),
		"joiner": Function("joiner", Builtin{[]string{"sep?"}, func(c *Call, b py.Bound) any {
			used := false
			sep := b.Str(c.Run, 0, ", ")
			return &py.Func{Name: "joiner", Fn: func(*py.Run, []any, []py.Kw) any {
				if used {
					return sep
				}
				used = true
				return ""
			}}
		}}),
		"lipsum": Function("lipsum", Builtin{[]string{"n?", "html?", "min?", "max?"}, lipsum}),
	}
}

func rangeOf(_ *Call, b py.Bound) any {
	r := py.Range{Stop: int64(py.Index(b[0])), Step: 1}
	if b.Has(1) {
		r.Start, r.Stop = r.Stop, int64(py.Index(b[1]))
	}
	if b.Has(2) {
		if r.Step = int64(py.Index(b[2])); r.Step == 0 {
			py.Raise("ValueError", "range() arg 3 must not be zero")
		}
	}
	if n := r.Len(); n > MaxRange || n < 0 {
		py.Raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", MaxRange)
	}
	return r
}

// namespace has attributes that can be set from within loops.
type namespace struct{ d py.Dict }

// TypeName is Jinja's.
func (n *namespace) TypeName() string { return "jinja2.utils.Namespace" }

// Print is Jinja's.
func (n *namespace) Print(r *py.Run) string { return "<Namespace " + py.Repr(r, &n.d) + ">" }

// Attr gives what was set.
func (n *namespace) Attr(_ *py.Run, name string) (any, bool) { return n.d.Get(name) }

// cycler gives its items in turn.
type cycler struct {
	items py.Tuple
	at    int
}

// TypeName is Jinja's.
func (c *cycler) TypeName() string { return "jinja2.utils.Cycler" }

// Attr gives current, next and reset.
func (c *cycler) Attr(_ *py.Run, name string) (any, bool) {
	switch name {
	case "current":
		return c.items[c.at], true
	case "next":
		return &py.Func{Name: name, Fn: func(*py.Run, []any, []py.Kw) any {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v
		}}, true
	case "reset":
		return &py.Func{Name: name, Fn: func(*py.Run, []any, []py.Kw) any { c.at = 0; return nil }}, true
	}
	return nil, false
}

const lorem = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua."

// lipsum gives paragraphs that are always the same, where Jinja's are random.
func lipsum(c *Call, b py.Bound) any {
	n := max(b.Int(0, 5), 0)
	c.Elements(n)
	var paragraphs py.Tuple
	for range n {
		paragraphs = append(paragraphs, lorem)
	}
	return py.Join(c.Run, "\n\n", paragraphs)
}
