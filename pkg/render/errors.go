package render

import (
	"errors"
	"fmt"
	"strings"
)

// Class is Salt's name for a kind of error.
type Class string

// The classes.
const (
	Syntax    Class = "jinja syntax"       // the template cannot be parsed
	Undefined Class = "undefined variable" // it uses what is not there
	Jinja     Class = "jinja error"        // anything else that goes wrong inside it
	YAML      Class = "yaml error"         // what it gave is no YAML, or no JSON
	Pipe      Class = "unknown renderer"   // its first line names what we do not have
)

// Error is one complaint about a template, or about what it rendered.
type Error struct {
	Class   Class
	File    string // the template, the included one where that is at fault
	Line    int    // from 1; 0 when the whole file is meant. For YAML, the line of the rendered text
	Column  int    // from 1; 0 when the whole line is meant
	Message string
	Snippet string // the line itself; may be empty
	Err     error  // what caused it; may be nil
}

// Error gives "file:line:column: message" and, indented below it, the line itself.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Line > 0 && e.Column > 0 {
		fmt.Fprintf(&b, ":%d", e.Column)
	}
	fmt.Fprintf(&b, ": %s", e.Message)
	if e.Snippet != "" {
		fmt.Fprintf(&b, "\n    %s", e.Snippet)
	}
	return b.String()
}

// Unwrap gives what caused it.
func (e *Error) Unwrap() error { return e.Err }

// Errors is all that is wrong with one file. It is never empty.
type Errors []*Error

// Error gives one complaint after the other.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap makes each complaint visible to errors.As.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}

// Complaints gives all complaints of an error that this package returned; other errors give none.
func Complaints(err error) []*Error {
	if many, ok := errors.AsType[Errors](err); ok {
		return many
	}
	if one, ok := errors.AsType[*Error](err); ok {
		return []*Error{one}
	}
	return nil
}
