package jinja

import (
	"errors"
	"io/fs"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

func (in *interp) exec(f *frame, body []syntax.Stmt) jump {
	for _, s := range body {
		in.Step(1)
		in.at = s.At()
		if j := in.stmt(f, s); j != none {
			return j
		}
	}
	return none
}

func (in *interp) stmt(f *frame, s syntax.Stmt) jump {
	switch s := s.(type) {
	case *syntax.Output:
		in.output(f, s)
	case *syntax.If:
		for _, b := range s.Branches {
			if b.Test == nil || in.truth(f, b.Test) {
				return in.exec(f, b.Body)
			}
		}
	case *syntax.For:
		in.loop(f, s, in.eval(f, s.Iter), 1)
	case *syntax.Set:
		in.assign(f, s.Target, in.eval(f, s.Value))
	case *syntax.SetBlock:
		v := in.capture(func() { in.exec(f.inner(), s.Body) })
		in.assign(f, s.Target, in.filtered(f, s.Filter, v))
	case *syntax.Load:
		v := in.capture(func() { in.exec(f.inner(), s.Body) })
		in.at = s.Pos
		in.assign(f, s.Target, in.filter(f, s.Filter, []any{v}, nil))
	case *syntax.With:
		inner := f.inner()
		for i, t := range s.Targets {
			in.assign(inner, t, in.eval(f, s.Values[i]))
		}
		return in.exec(inner, s.Body)
	case *syntax.Macro:
		in.set(f, s.Name, &macro{in: in, frame: f, name: s.Name, Signature: &s.Signature, body: s.Body}, true)
	case *syntax.CallBlock:
		caller := &macro{in: in, frame: f, name: "caller", Signature: &s.Signature, body: s.Body}
		in.print(in.call(f, s.Call, py.Kw{Name: "caller", Value: caller}))
	case *syntax.FilterBlock:
		v := in.capture(func() { in.exec(f.inner(), s.Body) })
		in.print(in.filtered(f, s.Filter, v))
	case *syntax.Do:
		in.eval(f, s.X)
	case *syntax.Jump:
		if s.Break {
			return breaks
		}
		return continues
	case *syntax.Autoescape:
		was := in.escape
		in.escape = in.truth(f, s.On)
		j := in.exec(f.inner(), s.Body)
		in.escape = was
		return j
	default:
		in.templates(f, s)
	}
	return none
}

// templates runs the statements that are about other templates.
func (in *interp) templates(f *frame, s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.Block:
		if f.silent && f.ctx.extends != nil && f.scope == nil {
			return
		}
		in.block(f, s)
	case *syntax.Extends:
		t := in.mustLoad(in.eval(f, s.Template), s.Pos)
		if f.ctx.extends != nil {
			py.Raise(py.RuntimeError, "extended multiple times")
		}
		f.ctx.family(t)
		f.ctx.extends = t
	case *syntax.Include:
		in.include(f, s)
	case *syntax.Import:
		t := in.mustLoad(in.eval(f, s.Template), s.Pos)
		m := in.module(f, t, s.WithContext)
		if s.Load == "" {
			in.set(f, s.Target, m, false)
			return
		}
		in.at = s.Pos
		in.set(f, s.Target, in.filter(f, s.Load, []any{m.text}, nil), true)
	case *syntax.FromImport:
		in.fromImport(f, s)
	}
}

func (in *interp) output(f *frame, s *syntax.Output) {
	if f.silent && f.ctx.extends != nil {
		return
	}
	for _, item := range s.Items {
		if d, ok := item.(*syntax.Data); ok {
			in.write(d.Text)
			continue
		}
		v := in.eval(f, item)
		in.at = item.At()
		in.print(v)
	}
}

func (in *interp) assign(f *frame, target syntax.Expr, v any) {
	switch t := target.(type) {
	case *syntax.Name:
		in.set(f, t.Name, v, true)
	case *syntax.NSRef:
		in.at = t.Pos
		ns, ok := in.lookup(f, t.Name).(*namespace)
		if !ok {
			py.Raise(py.RuntimeError, "cannot assign attribute on non-namespace object")
		}
		in.Alloc(64)
		ns.d.Set(t.Attr, v)
	case *syntax.Tuple:
		in.at = t.Pos
		if !py.IsIterable(v) {
			py.Raise("TypeError", "cannot unpack non-iterable %s object", py.TypeOf(v))
		}
		items := py.Collect(in.Run, v)
		switch {
		case len(items) < len(t.Items):
			py.Raise("ValueError", "not enough values to unpack (expected %d, got %d)", len(t.Items), len(items))
		case len(items) > len(t.Items):
			py.Raise("ValueError", "too many values to unpack (expected %d)", len(t.Items))
		}
		for i, item := range t.Items {
			in.assign(f, item, items[i])
		}
	}
}

func (in *interp) block(f *frame, s *syntax.Block) {
	family := f.ctx.blocks[s.Name]
	if s.Required && len(family) <= 1 {
		py.Raise(py.RuntimeError, "Required block '%s' not found", s.Name)
	}
	ctx := f.ctx
	if s.Scoped {
		scoped := *f.ctx
		scoped.layer = layer{vars: map[string]any{}, up: f.locals()}
		ctx = &scoped
	}
	in.runBlock(ctx, s.Name, 0)
}

func (in *interp) runBlock(ctx *vars, name string, level int) {
	b := ctx.blocks[name][level]
	defer in.Enter()()
	leave := in.within(b.of)
	in.exec(&frame{of: b.of, ctx: ctx, scope: &scope{}, block: name, level: level}, b.Body)
	leave()
}

func (in *interp) include(f *frame, s *syntax.Include) {
	v := in.eval(f, s.Template)
	in.at = s.Pos
	t, err := in.load(v)
	switch {
	case err != nil && s.IgnoreMissing && errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		in.raise(err)
	}
	leave := in.within(t)
	in.root(t, newContext(t, in.outside(f, s.WithContext)))
	leave()
}

// outside gives what a template sees that is included or imported here.
func (in *interp) outside(f *frame, withContext bool) *layer {
	if withContext {
		return f.locals()
	}
	return &layer{vars: in.env.Globals}
}

func (in *interp) module(f *frame, t *template, withContext bool) *module {
	if !withContext && t.module != nil {
		return t.module
	}
	ctx := newContext(t, in.outside(f, withContext))
	leave := in.within(t)
	m := &module{name: t.Name, vars: ctx}
	m.text = in.capture(func() { in.root(t, ctx) })
	leave()
	if !withContext {
		t.module = m
	}
	return m
}

func (in *interp) fromImport(f *frame, s *syntax.FromImport) {
	t := in.mustLoad(in.eval(f, s.Template), s.Pos)
	m := in.module(f, t, s.WithContext)
	for i, name := range s.Names {
		v, ok := m.Attr(in.Run, name)
		if !ok {
			where := ""
			if f.of.Name != "" {
				where = " in " + py.Quote(f.of.Name)
			}
			v = in.undefined("the template %s (imported on line %d%s) does not export the requested name %s",
				py.Quote(t.Name), s.Line, where, py.Quote(name))
		}
		in.set(f, s.Aliases[i], v, false)
	}
}
