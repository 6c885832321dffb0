package py

import (
	"context"
	"fmt"
)

// Exception is what is raised.
type Exception struct {
	Kind    string // Python's name: "TypeError", or one of the names below
	Message string
	Err     error // what caused it, if it came from outside
}

// The kinds that are not Python's.
const (
	UndefinedError = "UndefinedError"
	RuntimeError   = "TemplateRuntimeError"
	SyntaxError    = "TemplateSyntaxError"
	SecurityError  = "SecurityError"
	NotFound       = "TemplateNotFound"
	LimitError     = "LimitError" // time, memory, output, depth
	FunctionError  = "FunctionError"
)

func (e *Exception) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *Exception) Unwrap() error { return e.Err }

// Raise raises an exception.
func Raise(kind, format string, args ...any) {
	panic(&Exception{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

// Run is one rendering: it counts what is done and stops what is too much.
type Run struct {
	ctx   context.Context //nolint:containedctx // one rendering, which ends before its caller does
	steps int
	bytes int
	depth int
	// Depth is how deep calls, macros and includes may be inside each other.
	Depth int
}

// NewRun makes a Run of at most steps elementary actions and bytes taken.
func NewRun(ctx context.Context, steps, bytes, depth int) *Run {
	return &Run{ctx: ctx, steps: steps, bytes: bytes, Depth: depth}
}

// Context is the rendering's.
func (r *Run) Context() context.Context { return r.ctx }

// Step counts n actions.
func (r *Run) Step(n int) {
	before := r.steps
	r.steps -= n
	if r.steps < 0 || n < 0 {
		Raise(LimitError, "the template takes too many steps")
	}
	if r.steps>>12 != before>>12 {
		if err := r.ctx.Err(); err != nil {
			panic(&Exception{Kind: LimitError, Message: "rendering was stopped: " + err.Error(), Err: err})
		}
	}
}

// Alloc counts n bytes before they are taken.
func (r *Run) Alloc(n int) {
	r.bytes -= n
	if r.bytes < 0 || n < 0 {
		Raise(LimitError, "the template takes too much memory")
	}
	r.Step(n >> 10)
}

// Elements counts n elements of a list before they are made.
func (r *Run) Elements(n int) {
	if n > 1<<40 {
		n = 1 << 40
	}
	r.Step(n)
	r.Alloc(16 * n)
}

// Enter goes one level deeper; the function it returns leaves it.
func (r *Run) Enter() func() {
	r.depth++
	if r.depth > r.Depth {
		Raise("RecursionError", "maximum recursion depth exceeded")
	}
	return func() { r.depth-- }
}
