// Package compile makes of SLS files what is to be done on a minion, in order, as Salt 3006 does: includes, extend, exclude,
// names, requisites and order become one list of chunks. It runs nothing, and all that is wrong is told before anything
// runs, with the file, line and column.
//
// The stages have Salt's names: the high data are what the files declare, by ID; the low chunks are what is called.
package compile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Class is the kind of an error, in the words that Salt's recorded answers are sorted by.
type Class string

// The classes of what is wrong before anything runs. Those of templates are render's.
const (
	BadData     Class = "bad data"
	DuplicateID Class = "duplicate id"
	MissingSLS  Class = "missing sls"
	Extend      Class = "extend missing"
	Recursive   Class = "recursive requisite"
	BadTop      Class = "bad top"
	Pillar      Class = "pillar error"

	UnknownFunction Class = "function unavailable"
	UnknownArgument Class = "unknown argument"
)

// Error is one thing that is wrong with the files of states.
type Error struct {
	Class   Class
	File    string // the SLS that is at fault, by its name ("web.nginx"); "pillar:web" for pillar
	Path    string // its file ("web/nginx.sls"); may be empty
	Line    int    // from 1; 0 when the whole file is meant
	Column  int    // from 1; 0 when the whole line is meant
	Message string
	Snippet string // the line itself; may be empty
}

// Error gives "path:line:column: message" and, indented below it, the line itself.
func (e *Error) Error() string {
	var b strings.Builder
	if place := e.Place(); place != "" {
		b.WriteString(place + ": ")
	}
	b.WriteString(e.Message)
	if e.Snippet != "" {
		fmt.Fprintf(&b, "\n    %s", e.Snippet)
	}
	return b.String()
}

// Place gives "path:line:column", as far as known.
func (e *Error) Place() string {
	return yaml.Pos{File: cmp.Or(e.Path, e.File), Line: e.Line, Column: e.Column}.String()
}

// Errors is all that is wrong, in the order in which it was found. It is never empty.
type Errors []*Error

// Error gives one complaint after the other.
func (e Errors) Error() string { return yaml.Texts(e) }

// maxErrors bounds how many complaints are told at once.
const maxErrors = 200

// problems collects what is wrong.
type problems struct{ all Errors }

// add notes a problem at a node of an SLS; the node may be nil.
func (p *problems) add(class Class, sls string, at *yaml.Node, format string, args ...any) {
	e := &Error{Class: class, File: sls, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		place := at.Errorf("")
		e.Path, e.Line, e.Column, e.Snippet = place.File, place.Line, place.Column, place.Source
		e.Message += place.Message // which says when the line is none of the file's
	}
	same := func(o *Error) bool { return *o == *e }
	if len(p.all) < maxErrors && !slices.ContainsFunc(p.all, same) {
		p.all = append(p.all, e)
	}
}

// err gives what was collected, or nil.
func (p *problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	return p.all
}

// FromRender gives the complaints of rendering an SLS as errors of this package; ok is false when err is something else.
func FromRender(sls string, err error) (all Errors, ok bool) {
	for _, c := range render.Complaints(err) {
		e := &Error{
			Class: Class(c.Class), File: sls, Path: c.File, Line: c.Line, Column: c.Column,
			Message: c.Message, Snippet: c.Snippet,
		}
		if bad, ok := errors.AsType[*yaml.Error](c.Err); ok && bad.Duplicate() {
			e.Class = DuplicateID
		}
		all = append(all, e)
	}
	return all, len(all) > 0
}
