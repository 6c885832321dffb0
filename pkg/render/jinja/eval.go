package jinja

import (
	"math/big"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

func (in *interp) truth(f *frame, e syntax.Expr) bool {
	v := in.eval(f, e)
	in.at = e.At()
	return py.Truth(in.Run, v)
}

func (in *interp) eval(f *frame, e syntax.Expr) any {
	in.Step(1)
	switch e := e.(type) {
	case *syntax.Const:
		in.at = e.Pos
		return e.Value
	case *syntax.Name:
		in.at = e.Pos
		return in.lookup(f, e.Name)
	case *syntax.Getattr:
		x := in.eval(f, e.X)
		in.at = e.Pos
		return in.attribute(x, e.Attr)
	case *syntax.Getitem:
		x, key := in.eval(f, e.X), in.eval(f, e.Key)
		in.at = e.Pos
		return in.item(x, key)
	case *syntax.Call:
		return in.call(f, e)
	case *syntax.Filter:
		return in.filtered(f, e, nil)
	case *syntax.Test:
		return in.test(f, e)
	case *syntax.Unary:
		return in.unary(f, e)
	case *syntax.Binary:
		return in.binary(f, e)
	case *syntax.Compare:
		return in.compare(f, e)
	case *syntax.Concat:
		return in.concat(f, e)
	case *syntax.Cond:
		switch {
		case in.truth(f, e.Test):
			return in.eval(f, e.X)
		case e.Y != nil:
			return in.eval(f, e.Y)
		}
		// Jinja's own kind of undefined, whatever the environment's: it prints nothing.
		u := in.undefined("the inline if-expression on line %d evaluated to false and no else section was defined.", e.Line)
		u.Lenient = true
		return u
	}
	return in.literal(f, e)
}

func (in *interp) literal(f *frame, e syntax.Expr) any {
	switch e := e.(type) {
	case *syntax.Tuple:
		return py.Tuple(in.evalAll(f, e.Items))
	case *syntax.List:
		return &py.List{Items: in.evalAll(f, e.Items)}
	case *syntax.Dict:
		in.Elements(4 * len(e.Keys))
		d := &py.Dict{}
		for i := range e.Keys {
			k, v := in.eval(f, e.Keys[i]), in.eval(f, e.Values[i])
			in.at = e.Keys[i].At()
			d.Set(k, v)
		}
		return d
	case *syntax.Slice:
		part := func(e syntax.Expr) any {
			if e == nil {
				return nil
			}
			return in.eval(f, e)
		}
		return &py.Slice{Start: part(e.Start), Stop: part(e.Stop), Step: part(e.Step)}
	}
	py.Raise(py.RuntimeError, "unknown expression %T", e)
	return nil
}

func (in *interp) evalAll(f *frame, items []syntax.Expr) []any {
	in.Elements(len(items))
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = in.eval(f, item)
	}
	return out
}

func (in *interp) unary(f *frame, e *syntax.Unary) any {
	x := in.eval(f, e.X)
	in.at = e.Pos
	switch e.Op {
	case "not":
		return !py.Truth(in.Run, x)
	case "-":
		return py.Negate(x)
	}
	return py.Plus(x)
}

func (in *interp) binary(f *frame, e *syntax.Binary) any {
	x := in.eval(f, e.X)
	switch e.Op {
	case "and", "or":
		in.at = e.X.At()
		if py.Truth(in.Run, x) == (e.Op == "or") {
			return x
		}
		return in.eval(f, e.Y)
	}
	y := in.eval(f, e.Y)
	in.at = e.Pos
	return py.Binary(in.Run, e.Op, x, y)
}

func (in *interp) compare(f *frame, e *syntax.Compare) any {
	x := in.eval(f, e.X)
	for i, op := range e.Ops {
		y := in.eval(f, e.With[i])
		in.at = e.Pos
		ok := false
		switch op {
		case "in":
			ok = py.Contains(in.Run, y, x)
		case "not in":
			ok = !py.Contains(in.Run, y, x)
		default:
			ok = py.Compare(in.Run, op, x, y)
		}
		if !ok {
			return false
		}
		x = y
	}
	return true
}

func (in *interp) concat(f *frame, e *syntax.Concat) any {
	var b strings.Builder
	for _, item := range e.Items {
		v := in.eval(f, item)
		in.at = item.At()
		s := ""
		if in.escape {
			s = in.escaped(v)
		} else {
			s = py.Str(in.Run, v)
		}
		in.Alloc(len(s))
		b.WriteString(s)
	}
	if in.escape {
		return py.Markup(b.String())
	}
	return b.String()
}

// attribute is x.name: an attribute, else an element.
func (in *interp) attribute(x any, name string) any {
	v, ok := py.Attr(in.Run, x, name)
	if !ok {
		if v, ok = py.Subscript(in.Run, x, name); !ok {
			return in.none(x, name)
		}
	}
	return v
}

// item is x[key]: an element, else an attribute.
func (in *interp) item(x, key any) any {
	v, ok := py.Subscript(in.Run, x, key)
	if ok {
		return v
	}
	if name, isText := py.Text(key); isText {
		if v, ok := py.Attr(in.Run, x, name); ok {
			return v
		}
	}
	return in.none(x, key)
}

// none is what x has no attribute or element of.
func (in *interp) none(x, key any) any {
	name, isText := py.Text(key)
	if isText && len(name) > 4 && strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		u := in.undefined("access to attribute %s of %s object is unsafe.", py.Quote(name), py.Quote(py.TypeOf(x)))
		u.Kind = py.SecurityError
		return u
	}
	object := py.TypeOf(x) + " object"
	if x == nil {
		object = "None"
	}
	if isText {
		return in.undefined("'%s' has no attribute %s", object, py.Quote(name))
	}
	switch key.(type) {
	case int64, bool, *big.Int, float64, nil:
		return in.undefined("%s has no element %s", object, py.Repr(in.Run, key))
	}
	return in.undefined("%s has no element of the type %s", object, py.TypeOf(key))
}

// arguments evaluates those of a call.
func (in *interp) arguments(f *frame, a *syntax.Args, first ...any) ([]any, []py.Kw) {
	args := first
	for _, e := range a.Args {
		args = append(args, in.eval(f, e))
	}
	var kw []py.Kw
	for i, name := range a.Names {
		kw = append(kw, py.Kw{Name: name, Value: in.eval(f, a.Values[i])})
	}
	if a.Star != nil {
		args = append(args, py.Collect(in.Run, in.eval(f, a.Star))...)
	}
	if a.Stars2 != nil {
		d, ok := in.eval(f, a.Stars2).(*py.Dict)
		if !ok {
			py.Raise("TypeError", "argument after ** must be a mapping")
		}
		d.Pairs(func(k, v any) {
			name, ok := py.Text(k)
			if !ok {
				py.Raise("TypeError", "keywords must be strings")
			}
			kw = append(kw, py.Kw{Name: name, Value: v})
		})
	}
	return args, kw
}

func (in *interp) call(f *frame, e *syntax.Call, more ...py.Kw) any {
	fn := in.eval(f, e.Fn)
	args, kw := in.arguments(f, &e.Args)
	in.at = e.Fn.At()
	return in.invoke(f, fn, args, append(kw, more...))
}

// invoke calls a value.
func (in *interp) invoke(f *frame, fn any, args []any, kw []py.Kw) any {
	switch fn := fn.(type) {
	case Builtin:
		return fn.Run(&Call{in.Run, in, f}, py.Bind("function", fn.Params, args, kw))
	case *global:
		return fn.Run(&Call{in.Run, in, f}, py.Bind(fn.name, fn.Params, args, kw))
	case py.Callable:
		return fn.Call(in.Run, args, kw)
	case *py.Undefined:
		py.Raise(py.UndefinedError, "%s", fn.Message)
	}
	py.Raise("TypeError", "'%s' object is not callable", py.TypeOf(fn))
	return nil
}

// filtered applies a filter of the template. Where a block is filtered, the innermost one has no value of its own.
func (in *interp) filtered(f *frame, e syntax.Expr, block any) any {
	filter, ok := e.(*syntax.Filter)
	if !ok {
		if e == nil {
			return block
		}
		return in.eval(f, e)
	}
	v := block
	if filter.X != nil {
		v = in.filtered(f, filter.X, block)
	}
	args, kw := in.arguments(f, &filter.Args, v)
	in.at = filter.Pos
	return in.filter(f, filter.Name, args, kw)
}

func (in *interp) filter(f *frame, name string, args []any, kw []py.Kw) any {
	b, ok := in.env.Filters[name]
	if !ok {
		py.Raise(py.SyntaxError, "No filter named %s.", py.Quote(name))
	}
	return b.Run(&Call{in.Run, in, f}, py.Bind(name, b.Params, args, kw))
}

func (in *interp) test(f *frame, e *syntax.Test) any {
	args, kw := in.arguments(f, &e.Args, in.eval(f, e.X))
	in.at = e.Pos
	return in.ask(f, e.Name, args, kw)
}

func (in *interp) ask(f *frame, name string, args []any, kw []py.Kw) any {
	b, ok := in.env.Tests[name]
	if !ok {
		py.Raise(py.SyntaxError, "No test named %s.", py.Quote(name))
	}
	return b.Run(&Call{in.Run, in, f}, py.Bind(name, b.Params, args, kw))
}
