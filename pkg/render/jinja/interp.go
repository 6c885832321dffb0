package jinja

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// interp renders once.
type interp struct {
	*py.Run
	env    *Environment
	loaded map[string]*template
	out    strings.Builder
	left   int // bytes that may still be printed
	src    *template
	at     syntax.Pos // what runs, for errors
	escape bool
}

type jump int

const (
	none jump = iota
	breaks
	continues
)

// root renders a template, and then its parents.
func (in *interp) root(t *template, ctx *vars) {
	defer in.Enter()()
	for {
		ctx.extends = nil
		in.exec(&frame{of: t, ctx: ctx, silent: true}, t.Body)
		if ctx.extends == nil {
			return
		}
		t = ctx.extends
		in.src = t
		in.Step(1000)
	}
}

// within says which template runs; the function it returns goes back. It is not deferred: after an exception, src and at
// say where that was.
func (in *interp) within(t *template) func() {
	src, at := in.src, in.at
	in.src = t
	return func() { in.src, in.at = src, at }
}

func (in *interp) write(s string) {
	if in.left -= len(s); in.left < 0 {
		py.Raise(py.LimitError, "the template prints too much")
	}
	in.Alloc(len(s))
	in.out.WriteString(s)
}

// capture gives what f prints.
func (in *interp) capture(f func()) any {
	saved := in.out
	in.out = strings.Builder{}
	f()
	text := in.out.String()
	in.left += len(text)
	in.out = saved
	if in.escape {
		return py.Markup(text)
	}
	return text
}

func (in *interp) print(v any) {
	if in.escape {
		in.write(in.escaped(v))
		return
	}
	in.write(py.Str(in.Run, v))
}

func (in *interp) escaped(v any) string {
	if m, ok := v.(py.Markup); ok {
		return string(m)
	}
	return string(py.Escape(py.Str(in.Run, v)))
}

// load gives a template by the value that names it, or the first one there of a list.
func (in *interp) load(v any) (*template, error) {
	names := []any{v}
	switch list := v.(type) {
	case *py.List:
		names = list.Items
	case py.Tuple:
		names = list
	case *py.Undefined:
		list.Raise()
	}
	var missing []string
	for _, n := range names {
		name, ok := py.Text(n)
		if !ok {
			if u, isUndefined := n.(*py.Undefined); isUndefined {
				u.Raise()
			}
			py.Raise("TypeError", "a template's name is text, not %s", py.TypeOf(n))
		}
		t, err := in.loadOne(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return t, err
		}
		missing = append(missing, name)
	}
	text := missing[:min(1, len(missing))]
	if len(missing) != 1 {
		text = []string{"none of the templates given were found: " + strings.Join(missing, ", ")}
	}
	return nil, &py.Exception{Kind: py.NotFound, Message: text[0], Err: fs.ErrNotExist}
}

func (in *interp) loadOne(name string) (*template, error) {
	if t := in.loaded[name]; t != nil {
		return t, nil
	}
	if in.env.Load == nil {
		return nil, fs.ErrNotExist
	}
	s, err := in.env.Load(in.Context(), name)
	if err != nil {
		return nil, err
	}
	in.Alloc(len(s.Text))
	s.Name = name
	t, err := in.env.parse(s)
	if err != nil {
		return nil, err
	}
	in.loaded[name] = t
	return t, nil
}

// mustLoad is load that raises.
func (in *interp) mustLoad(v any, at syntax.Pos) *template {
	in.at = at
	t, err := in.load(v)
	if err == nil {
		return t
	}
	in.raise(err)
	return nil
}

func (in *interp) raise(err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		panic(e)
	}
	if e, ok := errors.AsType[*py.Exception](err); ok {
		panic(e)
	}
	panic(&py.Exception{Kind: "OSError", Message: err.Error(), Err: err})
}
