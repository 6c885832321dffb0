// Package syntax reads Jinja 3 templates with Salt's statements: text becomes tokens, tokens become a tree. It is pure, and
// bounded in depth. Errors are of type *[Error] and have Jinja's words.
package syntax

import "fmt"

// Pos is a place in a template. Line and Column count from 1; columns are characters.
type Pos struct{ Line, Column int }

// Error says why a template cannot be read.
type Error struct {
	Pos     Pos
	Message string
}

func (e *Error) Error() string { return e.Message }

func fail(at Pos, format string, args ...any) {
	panic(&Error{Pos: at, Message: fmt.Sprintf(format, args...)})
}

// Options are what jinja_env and jinja_sls_env may set. The zero Options are Jinja's defaults.
type Options struct {
	TrimBlocks, LstripBlocks   bool
	BlockStart, BlockEnd       string // {% %}
	VariableStart, VariableEnd string // {{ }}
	CommentStart, CommentEnd   string // {# #}
	KeepTrailingNewline        bool
}

func (o *Options) defaults() {
	for field, otherwise := range map[*string]string{
		&o.BlockStart: "{%", &o.BlockEnd: "%}", &o.VariableStart: "{{", &o.VariableEnd: "}}", &o.CommentStart: "{#", &o.CommentEnd: "#}",
	} {
		if *field == "" {
			*field = otherwise
		}
	}
}
