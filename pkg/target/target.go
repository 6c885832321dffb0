// Package target turns target expressions into matchers. An expression is Salt's compound syntax:
//
//	web*                      glob on the minion's id: * ? [a-z] [!a-z]
//	L@web1,db1                ids
//	E@web\d+                  regular expression (Python's) on the id, anchored at its start only
//	G@os:Ubuntu  P@os:Deb.*   grain: glob, regular expression
//	T@env:prod                tag: glob (brine's own)
//	I@env:prod   J@env:p.*    pillar: glob, regular expression
//	S@10.0.0.0/8              a network or an address of the minion
//	N@web                     a nodegroup
//	web* and not ( G@dc:ams or L@web7 )
//
// Words are separated by white space; parentheses need none, other than in Salt. "not" binds tightest, then "and", then "or"; "a not b" means
// "a and not b". In G, P, I and J the parts of the name are separated by a colon, or by the character between the letter
// and the @ (G|@os|Ubuntu); values are compared without regard to case; lists match when one member does; * stands for any
// key. A nodegroup is put in place as it is written, without parentheses unless it names other nodegroups: as in Salt.
package target

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// The bounds of an expression.
const (
	maxLength = 256 << 10 // bytes
	maxWords  = 4096      // after nodegroups were put in place
	maxDepth  = 64        // of parentheses
	maxParts  = 64        // of one grain, pillar or tag expression
	maxStars  = 8         // keys of one grain or pillar expression that are *
)

// Subject is a minion as a target sees it. What is nil matches nothing.
type Subject struct {
	ID     fleet.MinionID
	Grains fleet.Grains
	Tags   fleet.Tags
	Pillar map[string]any

	slow *atomic.Bool // the target's
}

// Nodegroups are named expressions: each value a string or a list of strings (words). Plain ids alone are a list of ids,
// and without a wildcard but with one of ( ) [ ] { } \ ? a regular expression: as in Salt.
type Nodegroups map[string]any

// Target is a parsed expression. It is immutable; its methods may be called concurrently.
type Target struct {
	expr   string
	match  matcher
	pillar bool
	slow   atomic.Bool
}

// matcher says whether a subject is meant.
type matcher func(*Subject) bool

// Parse parses an expression that has no nodegroups. Its errors are of the type *SyntaxError.
func Parse(expr string) (*Target, error) { return ParseWith(expr, nil) }

// ParseWith parses an expression that may name the nodegroups. Its errors are of the type *SyntaxError.
func ParseWith(expr string, groups Nodegroups) (*Target, error) {
	if len(expr) > maxLength {
		return nil, &SyntaxError{Expr: expr, Column: 1, Message: fmt.Sprintf("longer than %d bytes", maxLength)}
	}
	return parse(expr, split(expr), groups)
}

// ParseWords is ParseWith for an expression whose words are separated already and may hold spaces, as they may in a list
// of a YAML file. Columns are those of the words joined by spaces.
func ParseWords(words []string, groups Nodegroups) (*Target, error) {
	expr := strings.Join(words, " ")
	if len(expr) > maxLength {
		return nil, &SyntaxError{Expr: expr, Column: 1, Message: fmt.Sprintf("longer than %d bytes", maxLength)}
	}
	return parse(expr, columns(words), groups)
}

func parse(expr string, words []word, groups Nodegroups) (*Target, error) {
	words, err := expand(words, groups)
	if err == nil {
		var m matcher
		if m, err = newParser(expr, words).parse(); err == nil {
			return &Target{expr: expr, match: m, pillar: slices.ContainsFunc(words, ofPillar)}, nil
		}
	}
	err.Expr = expr
	return nil, err
}

// Match reports whether the subject is meant. After Err says something, nobody is.
func (t *Target) Match(s Subject) bool {
	s.slow = &t.slow
	return t.match(&s) && !t.slow.Load()
}

// Err is ErrSlow when a match had to be given up: then no answer of Match counts, those before included.
func (t *Target) Err() error {
	if t.slow.Load() {
		return ErrSlow
	}
	return nil
}

// LooksAtPillar reports whether a match may depend on the subject's pillar.
func (t *Target) LooksAtPillar() bool { return t.pillar }

func ofPillar(w word) bool {
	kind, _, _, ok := kindOf(w.text)
	return ok && (kind == "I" || kind == "J")
}

// String returns the expression as it was given.
func (t *Target) String() string { return t.expr }
