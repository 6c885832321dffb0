package target

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync/atomic"

	"github.com/brine-deploy/brine/pkg/regex"
)

// pattern is a regular expression that is anchored at the start, like Python's re.match. One that RE2 can read is matched in
// linear time. Others, with look-around and back references, may take for ever on a text: the first that does makes the
// pattern give up for good.
type pattern struct {
	linear *regexp.Regexp
	python *regex.Regexp // when linear is nil
	slow   atomic.Bool
}

// ErrSlow says that a regular expression takes too long: what a target means cannot be told.
var ErrSlow = errors.New("a regular expression of the target takes too long; look-around and back references make it slow")

func compile(expr string, ignoreCase bool) (*pattern, *patternError) {
	flags, own := "", regex.Flags(0)
	if ignoreCase {
		flags, own = "(?i)", regex.IgnoreCase
	}
	_, err := regexp.Compile(expr) // Alone: in the group below, "a)(b" would be right.
	if err == nil {
		var re *regexp.Regexp
		if re, err = regexp.Compile(flags + `\A(?:` + expr + `)`); err == nil {
			return &pattern{linear: re}, nil
		}
	}
	if python, unread := regex.Compile(expr, own); unread == nil {
		return &pattern{python: python}, nil
	}
	bad := &patternError{message: "regular expression: " + err.Error()}
	if where, ok := errors.AsType[*syntax.Error](err); ok {
		bad.offset = max(0, strings.Index(expr, where.Expr))
		bad.message = fmt.Sprintf("regular expression: %s: `%s`", where.Code, where.Expr)
	}
	return nil, bad
}

func (p *pattern) match(text string) bool {
	if p.linear != nil {
		return p.linear.MatchString(text)
	}
	if p.slow.Load() {
		return false
	}
	m, err := p.python.Match(text)
	if err != nil {
		p.slow.Store(true)
	}
	return m != nil
}

// idRegexp makes the matcher of E@.
func idRegexp(expr string) (matcher, *patternError) {
	p, err := compile(expr, false)
	if err != nil {
		return nil, err
	}
	return func(s *Subject) bool {
		ok := p.match(string(s.ID))
		s.note(p)
		return ok
	}, nil
}

// note lets the target know of a pattern that gave up.
func (s *Subject) note(p *pattern) {
	if s.slow != nil && p.slow.Load() {
		s.slow.Store(true)
	}
}
