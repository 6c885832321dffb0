package pillar

import (
	"errors"
	"strings"

	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Error is one thing that is wrong with a minion's pillar.
type Error struct {
	File    string // "pillar:" and the name of the SLS, as top files write it; the top file is "pillar:top"
	Path    string // of the file below its root; may be empty
	Line    int    // from 1; 0 when the whole file is meant
	Column  int    // from 1; 0 when the whole line is meant
	Message string
	Snippet string // the line itself; may be empty
	Err     error  // what caused it; may be nil
}

// Error gives "pillar:web (web/init.sls:3:1): message" and, indented below it, the line itself.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Path != "" {
		b.WriteString(" (" + yaml.Pos{File: e.Path, Line: e.Line, Column: e.Column}.String() + ")")
	}
	b.WriteString(": " + e.Message)
	if e.Snippet != "" {
		b.WriteString("\n    " + e.Snippet)
	}
	return b.String()
}

// Unwrap gives what caused it.
func (e *Error) Unwrap() error { return e.Err }

// Errors is all that is wrong with a minion's pillar. It is never empty.
type Errors []*Error

// Error gives one complaint after the other.
func (e Errors) Error() string { return yaml.Texts(e) }

// Unwrap makes each complaint visible to errors.As.
func (e Errors) Unwrap() []error { return yaml.Each(e) }

func (c *compilation) fail(e *Error) { c.errs = append(c.errs, e) }

// failed tells what rendering an SLS said.
func (c *compilation) failed(sls, path string, err error) {
	for _, one := range render.Complaints(err) {
		at := path
		if one.File != "" {
			at = one.File
		}
		c.fail(&Error{"pillar:" + sls, at, one.Line, one.Column, one.Message, one.Snippet, one})
	}
	if len(render.Complaints(err)) > 0 {
		return
	}
	var many yaml.Errors
	if !errors.As(err, &many) {
		c.fail(&Error{File: "pillar:" + sls, Path: path, Message: err.Error(), Err: err})
	}
	for _, one := range many {
		c.wrong(sls, path, one)
	}
}

// wrong tells a complaint about a place in a rendered SLS.
func (c *compilation) wrong(sls, path string, e *yaml.Error) {
	c.fail(&Error{"pillar:" + sls, path, e.Line, e.Column, e.Message, e.Source, e})
}
