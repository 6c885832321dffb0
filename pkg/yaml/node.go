package yaml

import (
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// Kind says what a Node is.
type Kind string

// The kinds of nodes.
const (
	Null     Kind = "nothing"
	Scalar   Kind = "a scalar"
	Sequence Kind = "a list"
	Mapping  Kind = "a mapping"
)

// Pos is a place in a file, for people. Line and Column count from 1.
type Pos struct {
	File         string
	Line, Column int
}

// String gives "file:line:column", without what is not known, which is 0.
func (p Pos) String() string {
	switch {
	case p.Line < 1:
		return p.File
	case p.Column < 1:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Node is one value of a parsed file. It is immutable, and all its methods can be used on a nil Node, which is a value
// that the file does not have. Aliases and merge keys are resolved already.
type Node struct {
	src   *source
	raw   *yaml.Node // the scalar, and the place
	kind  Kind
	items []*Node
	pairs []Pair
}

// Pair is one key of a mapping and its value, neither of them nil.
type Pair struct {
	Key, Value *Node
}

type source struct {
	file  string
	lines []string
	salt  bool // read as Salt does

	origin map[string]int // the lines of the template, 0 for those that are there twice; nil without a template

	lastWins bool     // of keys that are there twice
	twice    []*Error // those keys
}

func (s *source) errorAt(line, column int, message, hint string) *Error {
	e := &Error{File: s.file, Line: line, Column: column, Message: message, Hint: hint}
	if line > 0 && line <= len(s.lines) {
		e.Source = shorten(s.lines[line-1])
	}
	return e
}

// shorten keeps one-line JSON from filling the terminal.
func shorten(line string) string {
	const most = 160
	line = strings.TrimSpace(line)
	line = strings.ToValidUTF8(line[:min(len(line), 4*most+4)], "?")
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return line
}

// Kind returns what n is.
func (n *Node) Kind() Kind {
	if n == nil {
		return Null
	}
	return n.kind
}

// Pos returns where n stands; of an alias, where its anchor stands.
func (n *Node) Pos() Pos {
	if n == nil {
		return Pos{}
	}
	line, _ := n.src.place(n.raw.Line)
	return Pos{File: n.src.file, Line: line, Column: n.raw.Column}
}

// Text returns a scalar as it is written, without its quotes: "0.0" for 0.0. Other nodes give "".
func (n *Node) Text() string {
	if n.Kind() != Scalar {
		return ""
	}
	return n.raw.Value
}

// Quoted reports whether n is a scalar that is text by its quotes, block style or tag.
func (n *Node) Quoted() bool {
	const styles = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	return n.Kind() == Scalar && n.raw.Style&styles != 0 && n.raw.ShortTag() == "!!str"
}

// Items returns the elements of a sequence.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Pairs returns the keys and values of a mapping, as ordered in the file; merged keys come last,
// from Salt first.
func (n *Node) Pairs() []Pair {
	if n == nil {
		return nil
	}
	return n.pairs
}

// Get returns the value below the keys of nested mappings, or nil when there is none.
func (n *Node) Get(keys ...string) *Node {
	for _, key := range keys {
		n = n.get(key)
	}
	return n
}

func (n *Node) get(key string) *Node {
	for _, p := range n.Pairs() {
		if p.Key.Text() == key {
			return p.Value
		}
	}
	return nil
}

// Without returns the mapping n without some of its keys, so that they can be decoded by someone else.
func (n *Node) Without(keys ...string) *Node {
	if n.Kind() != Mapping {
		return n
	}
	rest := *n
	rest.pairs = nil
	for _, p := range n.pairs {
		if !slices.Contains(keys, p.Key.Text()) {
			rest.pairs = append(rest.pairs, p)
		}
	}
	return &rest
}

// Errorf makes a complaint about n. On a nil Node it has no position.
func (n *Node) Errorf(format string, args ...any) *Error {
	return n.complain("", format, args...)
}

func (n *Node) complain(hint, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	if n == nil {
		return &Error{Message: message, Hint: hint}
	}
	line, known := n.src.place(n.raw.Line)
	if !known {
		message += " (in the rendered text)"
	}
	e := n.src.errorAt(n.raw.Line, n.raw.Column, message, hint)
	e.Line = line
	return e
}
