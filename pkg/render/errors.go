package render

import (
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/yaml"
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
	b.WriteString(yaml.Pos{File: e.File, Line: e.Line, Column: e.Column}.String())
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
func (e Errors) Error() string { return yaml.Texts(e) }

// Unwrap makes each complaint visible to errors.As.
func (e Errors) Unwrap() []error { return yaml.Each(e) }

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
