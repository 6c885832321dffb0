// Package regex has Python's regular expressions, as Salt's users write them: look-around, back-references, named groups
// (?P<name>...), and replacements with \1 and \g<name>. It is the only home of the engine, which backtracks; so every
// match is bounded in time.
//
// What is not Python's: there are no bytes patterns and no locale, (?a) is ignored, and look-behind may have any width.
package regex

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// Timeout bounds one match, one search, or one replacement.
const Timeout = 2 * time.Second

// ErrTimeout says that an expression took too long on a text.
var ErrTimeout = errors.New("the expression takes too long on this text")

// Flags are Python's.
type Flags uint

// The flags.
const (
	IgnoreCase Flags = 1 << iota // re.I
	Multiline                    // re.M
	DotAll                       // re.S
	Verbose                      // re.X
)

// Regexp is a compiled expression. It may be used concurrently.
type Regexp struct {
	search, match, full *regexp2.Regexp
	names               map[string]int
	groups              int
}

// Compile reads an expression in Python's syntax.
func Compile(expr string, flags Flags) (*Regexp, error) {
	options := []regexp2.CompileOption{regexp2.OptionMaintainCaptureOrder(), regexp2.OptionMaxBacktrackingStackSize(1 << 22)}
	for flag, option := range map[Flags]regexp2.RegexOptions{
		IgnoreCase: regexp2.IgnoreCase, Multiline: regexp2.Multiline, DotAll: regexp2.Singleline, Verbose: regexp2.IgnorePatternWhitespace,
	} {
		if flags&flag != 0 {
			options = append(options, option)
		}
	}
	body := translate(expr)
	r := &Regexp{names: map[string]int{}}
	for target, text := range map[**regexp2.Regexp]string{
		&r.search: body, &r.match: `\A(?:` + body + "\n)", &r.full: `\A(?:` + body + "\n)\\z",
	} {
		if flags&Verbose == 0 && !strings.Contains(expr, "(?x") {
			text = strings.Replace(text, "\n)", ")", 1)
		}
		re, err := regexp2.Compile(text, options...)
		if err != nil {
			return nil, fmt.Errorf("read expression %q: %w", expr, err)
		}
		re.MatchTimeout = Timeout
		*target = re
	}
	for _, n := range r.search.GetGroupNumbers() {
		r.groups = max(r.groups, n)
		r.names[r.search.GroupNameFromNumber(n)] = n
	}
	return r, nil
}

// Match is where an expression was found.
type Match struct {
	Start, End int // bytes
	groups     []group
	names      map[string]int
}

type group struct {
	text  string
	there bool
}

// Group gives the text of a group, 0 for all; ok is false when it took no part.
func (m *Match) Group(n int) (text string, ok bool) {
	if n < 0 || n >= len(m.groups) {
		return "", false
	}
	return m.groups[n].text, m.groups[n].there
}

// Groups is how many groups there are, besides all.
func (m *Match) Groups() int { return len(m.groups) - 1 }

// Named gives the number of a named group.
func (m *Match) Named(name string) (n int, ok bool) {
	n, ok = m.names[name]
	return n, ok
}

// Match looks for the expression at the beginning of text, as re.match does. It is nil when there is none.
func (r *Regexp) Match(text string) (*Match, error) { return r.find(r.match, text) }

// Search looks for the expression anywhere, as re.search does. It is nil when there is none.
func (r *Regexp) Search(text string) (*Match, error) { return r.find(r.search, text) }

// FullMatch wants the expression to be all of text, as re.fullmatch does. It is nil when it is not.
func (r *Regexp) FullMatch(text string) (*Match, error) { return r.find(r.full, text) }

func (r *Regexp) find(re *regexp2.Regexp, text string) (*Match, error) {
	m, err := re.FindStringMatch(text)
	if err != nil {
		return nil, failed(err)
	}
	if m == nil {
		return nil, nil
	}
	return r.found(m), nil
}

func failed(err error) error { return fmt.Errorf("%w (%w)", ErrTimeout, err) }

func (r *Regexp) found(m *regexp2.Match) *Match {
	start, size := m.ByteRange()
	out := &Match{Start: start, End: start + size, names: r.names, groups: make([]group, r.groups+1)}
	for i := range out.groups {
		if g := m.GroupByNumber(i); g != nil && len(g.Captures) > 0 {
			out.groups[i] = group{g.String(), true}
		}
	}
	return out
}

// All gives all matches that do not overlap, at most as many as most unless that is negative.
func (r *Regexp) All(text string, most int) ([]*Match, error) {
	until := time.Now().Add(Timeout)
	var out []*Match
	m, err := r.search.FindStringMatch(text)
	for ; m != nil && err == nil && len(out) != most; m, err = r.search.FindNextMatch(m) {
		if len(out)&0xff == 0xff && time.Now().After(until) {
			return nil, ErrTimeout
		}
		out = append(out, r.found(m))
	}
	if err != nil {
		return nil, failed(err)
	}
	return out, nil
}

// Sub replaces matches by a template in Python's syntax (\1, \g<name>, \n, ...), at most count unless that is 0, and gives
// how many there were.
func (r *Regexp) Sub(template, text string, count int) (out string, n int, err error) {
	parts, err := r.template(template)
	if err != nil {
		return "", 0, err
	}
	if count <= 0 {
		count = -1
	}
	matches, err := r.All(text, count)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	at := 0
	for _, m := range matches {
		b.WriteString(text[at:m.Start])
		for _, p := range parts {
			b.WriteString(p.text)
			if p.group >= 0 {
				t, _ := m.Group(p.group)
				b.WriteString(t)
			}
		}
		at = m.End
	}
	return b.String() + text[at:], len(matches), nil
}
