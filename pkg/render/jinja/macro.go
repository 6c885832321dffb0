package jinja

import (
	"slices"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

// macro is a macro, or what a call block gives to one.
type macro struct {
	in    *interp
	frame *frame // where it was defined
	name  string
	*syntax.Signature
	body []syntax.Stmt
}

// TypeName is Jinja's.
func (m *macro) TypeName() string { return "jinja2.runtime.Macro" }

// Print is Jinja's.
func (m *macro) Print(*py.Run) string { return "<Macro " + py.Quote(m.name) + ">" }

// Attr gives what macros tell of themselves.
func (m *macro) Attr(_ *py.Run, name string) (any, bool) {
	switch name {
	case "name":
		return m.name, true
	case "arguments":
		args := make(py.Tuple, len(m.Params))
		for i, p := range m.Params {
			args[i] = p
		}
		return args, true
	case "catch_kwargs":
		return m.Kwargs, true
	case "catch_varargs":
		return m.Varargs, true
	case "caller":
		return m.Caller, true
	}
	return nil, false
}

// Call renders it.
func (m *macro) Call(r *py.Run, args []any, kw []py.Kw) any {
	defer r.Enter()()
	in := m.in
	inner := m.frame.inner()
	inner.silent = false
	given := min(len(args), len(m.Params))
	for i := range given {
		inner.scope.set(m.Params[i], args[i])
	}
	rest := m.named(inner.scope, given, kw)
	switch extra := args[given:]; {
	case m.Varargs:
		inner.scope.set("varargs", py.Tuple(slices.Clone(extra)))
	case len(extra) > 0:
		py.Raise("TypeError", "macro %s takes not more than %d argument(s)", py.Quote(m.name), len(m.Params))
	}
	if m.Kwargs {
		inner.scope.set("kwargs", rest)
	}
	leave := in.within(m.frame.of)
	m.defaults(inner)
	text := in.capture(func() { in.exec(inner, m.body) })
	leave()
	return text
}

// named sets the parameters that were given by name, and returns the arguments that no parameter takes.
func (m *macro) named(s *scope, given int, kw []py.Kw) *py.Dict {
	rest := &py.Dict{}
	if m.Caller {
		s.set("caller", m.in.undefined("No caller defined"))
	}
	for _, k := range kw {
		i := slices.Index(m.Params, k.Name)
		switch {
		case i >= given:
			s.set(k.Name, k.Value)
		case m.Caller && k.Name == "caller":
			s.set("caller", k.Value)
		default:
			rest.Set(k.Name, k.Value)
		}
	}
	if rest.Len() > 0 && !m.Kwargs {
		if _, ok := rest.Get("caller"); ok {
			py.Raise("TypeError", "macro %s was invoked with two values for the special caller argument. This is most likely a bug.",
				py.Quote(m.name))
		}
		name, _ := py.Text(rest.Keys()[0])
		py.Raise("TypeError", "macro %s takes no keyword argument %s", py.Quote(m.name), py.Quote(name))
	}
	return rest
}

// defaults sets the parameters that were not given.
func (m *macro) defaults(inner *frame) {
	first := len(m.Params) - len(m.Defaults)
	for i, p := range m.Params {
		switch {
		case inner.scope.has(p):
		case i >= first:
			inner.scope.set(p, m.in.eval(inner, m.Defaults[i-first]))
		default:
			inner.scope.set(p, m.in.undefined("parameter %s was not provided", py.Quote(p)))
		}
	}
}

// module is another template that was imported.
type module struct {
	name string
	vars *vars
	text any
}

// TypeName is Jinja's.
func (m *module) TypeName() string { return "jinja2.environment.TemplateModule" }

// Print is what the template printed.
func (m *module) Print(r *py.Run) string { return py.Str(r, m.text) }

// Attr gives what it exports.
func (m *module) Attr(_ *py.Run, name string) (any, bool) {
	if !slices.Contains(m.vars.exported, name) {
		return nil, false
	}
	v, ok := m.vars.vars[name]
	return v, ok
}

// selfRef is self: the blocks of this template by name.
type selfRef struct {
	in *interp
	f  *frame
}

// TypeName is Jinja's.
func (s *selfRef) TypeName() string { return "jinja2.runtime.TemplateReference" }

// Attr gives a block.
func (s *selfRef) Attr(_ *py.Run, name string) (any, bool) {
	if len(s.f.ctx.blocks[name]) == 0 {
		return nil, false
	}
	return &blockRef{s.in, s.f.ctx, name, 0}, true
}

// blockRef is a block that can be called: super, self.name.
type blockRef struct {
	in    *interp
	ctx   *vars
	name  string
	level int
}

func (in *interp) super(f *frame) any {
	if f.level+1 >= len(f.ctx.blocks[f.block]) {
		return in.undefined("there is no parent block called %s.", py.Quote(f.block))
	}
	return &blockRef{in, f.ctx, f.block, f.level + 1}
}

// Call renders the block.
func (b *blockRef) Call(*py.Run, []any, []py.Kw) any {
	return b.in.capture(func() { b.in.runBlock(b.ctx, b.name, b.level) })
}

// Attr gives super.super.
func (b *blockRef) Attr(_ *py.Run, name string) (any, bool) {
	if name != "super" {
		return nil, false
	}
	return b.in.super(&frame{ctx: b.ctx, block: b.name, level: b.level}), true
}
