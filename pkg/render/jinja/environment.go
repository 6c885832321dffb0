package jinja

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

// Builtin is a filter, a test or a global function. Of a filter and a test the first argument is the value.
type Builtin struct {
	Params []string // as py.Bind takes them
	Run    func(c *Call, b py.Bound) any
}

// Call is what a Builtin sees of the template that calls it.
type Call struct {
	*py.Run
	in    *interp
	frame *frame
}

// Environment is what the templates of one rendering share.
type Environment struct {
	syntax.Options
	Filters, Tests map[string]Builtin
	// Globals are the names that every template sees, imported ones too. A func() any is called once, when it is needed.
	Globals map[string]any
	// Load finds another template. It may change Globals, as Salt does. The error is fs.ErrNotExist when there is none.
	Load func(ctx context.Context, name string) (Source, error)
	// Lenient makes undefined values empty instead of errors.
	Lenient bool
	Limits  Limits
}

// Limits bound one rendering.
type Limits struct{ Steps, Output, Memory, Depth int }

// Source is the text of a template.
type Source struct {
	Name string // as other templates name it; empty for the first one
	File string // for errors
	Text string
}

// Error is what went wrong in a template.
type Error struct {
	Kind    string // Python's name of the exception, or one of package py
	File    string
	Line    int // from 1
	Column  int // from 1
	Message string
	Snippet string // the line
	Err     error  // what caused it, if it came from outside
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// template is one that was parsed.
type template struct {
	Source
	*syntax.Template
	module *module // as it is imported without context
}

// errorAt makes an error of a place in a template.
func errorAt(s Source, at syntax.Pos, e *py.Exception) *Error {
	out := &Error{Kind: e.Kind, File: s.File, Line: at.Line, Column: at.Column, Message: e.Message, Err: e.Err}
	lines := strings.Split(s.Text, "\n")
	if at.Line > 0 && at.Line <= len(lines) {
		out.Snippet = strings.TrimRight(lines[at.Line-1], "\r")
	}
	return out
}

// maxSource bounds a template.
const maxSource = 8 << 20

func (e *Environment) parse(s Source) (*template, error) {
	if len(s.Text) > maxSource {
		return nil, errorAt(s, syntax.Pos{}, &py.Exception{Kind: py.LimitError, Message: "the template is too large"})
	}
	t, err := syntax.Parse(s.Text, e.Options)
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		return nil, errorAt(s, bad.Pos, &py.Exception{Kind: py.SyntaxError, Message: bad.Message})
	}
	if err != nil {
		return nil, err
	}
	return &template{Source: s, Template: t}, nil
}

// Render renders a template that sees vars besides the globals. The error is an *[Error].
func (e *Environment) Render(ctx context.Context, s Source, vars map[string]any) (text string, err error) {
	t, err := e.parse(s)
	if err != nil {
		return "", err
	}
	in := &interp{
		Run: py.NewRun(ctx, e.Limits.Steps, e.Limits.Memory, e.Limits.Depth),
		env: e, loaded: map[string]*template{}, src: t, left: e.Limits.Output,
	}
	defer func() {
		switch x := recover().(type) {
		case nil:
		case *py.Exception:
			err = errorAt(in.src.Source, in.at, x)
		case *Error:
			err = x
		default:
			panic(x)
		}
	}()
	in.root(t, newContext(t, &layer{vars: vars, up: &layer{vars: e.Globals}}))
	return in.out.String(), nil
}
