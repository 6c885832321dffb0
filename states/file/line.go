package file

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var lineParams = []string{ //nolint:gochecknoglobals // a table
	"content", "match", "mode", "location", "before", "after", "show_changes", "backup", "quiet", "indent", "create", "user", "group", "file_mode",
}

// lineEdit is one line that should be in a file, or not.
type lineEdit struct {
	lines                []string
	content, mode, place string
	match, before, after *regex.Regexp
	indent               bool
}

func runLine(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	l := lineEdit{mode: strings.ToLower(a.Text("mode", "")), place: a.Text("location", ""), indent: a.Bool("indent", true)}
	l.content = a.Text("content", "")
	l.match, l.before, l.after = expression(a, "match", 0), expression(a, "before", 0), expression(a, "after", 0)
	hasContent, quiet, create, backup := a.Has("content"), a.Bool("quiet", false), a.Bool("create", false), readBackup(a, "")
	if res, bad := a.Bad(); bad {
		return res
	}
	if create && !exists(expand(c.Name)) {
		if res, done := createFor(ctx, c, a); done {
			return res
		}
	}
	if quiet && !exists(expand(c.Name)) {
		return args.Fine("No changes needed to be made")
	}
	e, res, failed := openText(c, a)
	if failed {
		return res
	}
	e.backup = backup
	switch {
	case l.mode == "":
		return args.Failed("Mode was not defined. How to process the file?")
	case l.mode != "delete" && !hasContent:
		return args.Failed("Content can only be empty if mode is delete")
	}
	l.lines = strings.Split(e.before, "\n")
	if e.before == "" {
		l.lines = nil
	}
	if l.match == nil && l.before == nil && l.after == nil {
		l.match, _ = regex.Compile(regex.Escape(l.content), 0)
	}
	lines, err := l.apply()
	if err != nil {
		return args.Exception("An exception occurred in this state: %v", err)
	}
	e.after = strings.Join(lines, "\n")
	return e.finish(words{"Changes would be made", "Changes were made", "No changes needed to be made"})
}

// createFor makes the file that create asks for.
func createFor(ctx context.Context, c *state.Call, a *args.Reader) (state.Result, bool) {
	inner := *c
	inner.Args = data.NewMap()
	for from, to := range map[string]string{"user": "user", "group": "group", "file_mode": "mode"} {
		if v := a.Get(from); v != nil {
			inner.Args.Set(to, v)
		}
	}
	res := runManaged(ctx, &inner)
	return res, res.Verdict != state.True
}

func (l *lineEdit) apply() ([]string, error) {
	switch l.mode {
	case "delete", "replace":
		return l.each()
	case "insert":
		return l.insert()
	case "ensure":
		return l.ensure()
	}
	return nil, fmt.Errorf("Unknown mode: %q", l.mode) //nolint:staticcheck,revive // Salt's words
}

// where gives the lines that an expression is found in.
func (l *lineEdit) where(re *regex.Regexp) (map[int]bool, error) {
	at := map[int]bool{}
	for i, line := range l.lines {
		ok, err := found(re, line)
		if err != nil {
			return nil, err
		}
		if ok {
			at[i] = true
		}
	}
	return at, nil
}

// one gives the only line that an expression is found in.
func (l *lineEdit) one(re *regex.Regexp, what string) (int, error) {
	at, err := l.where(re)
	if err != nil {
		return 0, err
	}
	switch len(at) {
	case 0:
		return 0, fmt.Errorf("Found no expected occurrences in %q expression", what) //nolint:staticcheck,revive // Salt's words
	case 1:
		for i := range at {
			return i, nil
		}
	}
	return 0, fmt.Errorf("Found more than expected occurrences in %q expression", what) //nolint:staticcheck,revive // Salt's words
}

func (l *lineEdit) each() ([]string, error) {
	if l.match == nil {
		return nil, errors.New("match is needed")
	}
	at, err := l.where(l.match)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, line := range l.lines {
		switch {
		case !at[i]:
			out = append(out, line)
		case l.mode == "replace":
			out = append(out, l.indented(line))
		}
	}
	return out, nil
}

// indented is the content with the white space that a line begins with.
func (l *lineEdit) indented(line string) string {
	if !l.indent {
		return l.content
	}
	return line[:len(line)-len(strings.TrimLeft(line, " \t\r\f\v"))] + strings.TrimLeft(l.content, " \t\r\n\f\v")
}

// put inserts the content at an index, indented as the line of another index.
func (l *lineEdit) put(at, like int) []string {
	text := l.content
	if like < len(l.lines) {
		text = l.indented(l.lines[like])
	}
	out := append([]string{}, l.lines[:at]...)
	out = append(out, text)
	return append(out, l.lines[at:]...)
}

func (l *lineEdit) has(at int) bool {
	return at >= 0 && at < len(l.lines) && strings.TrimSpace(l.lines[at]) == strings.TrimSpace(l.content)
}

func (l *lineEdit) insert() ([]string, error) {
	switch {
	case l.place == "" && l.before == nil && l.after == nil:
		return nil, errors.New(`On insert either "location" or "before/after" conditions are required`) //nolint:staticcheck,revive // Salt's words
	case l.place == "start":
		return l.put(0, 0), nil
	case l.place == "end":
		return l.put(len(l.lines), max(0, len(l.lines)-1)), nil
	case l.place != "":
		return nil, fmt.Errorf("Wrong conditions: location is %q, not start or end", l.place) //nolint:staticcheck,revive // Salt's words
	}
	return l.beside()
}

func (l *lineEdit) ensure() ([]string, error) {
	if l.before == nil && l.after == nil {
		return nil, errors.New("Wrong conditions? Unable to ensure line without knowing where to put it before and/or after") //nolint:staticcheck,revive // Salt's words
	}
	return l.beside()
}

// beside puts the content after one line, or before another, unless it is there.
func (l *lineEdit) beside() ([]string, error) {
	after, before := -1, len(l.lines)
	var err error
	if l.after != nil {
		if after, err = l.one(l.after, "after"); err != nil {
			return nil, err
		}
	}
	if l.before != nil {
		if before, err = l.one(l.before, "before"); err != nil {
			return nil, err
		}
	}
	switch {
	case l.after == nil && l.has(before-1):
		return l.lines, nil
	case l.after == nil:
		return l.put(before, before), nil
	case l.before == nil && l.has(after+1):
		return l.lines, nil
	}
	if l.before != nil {
		for i := after + 1; i < before; i++ {
			if l.has(i) {
				return l.lines, nil
			}
		}
		return l.put(max(before, after+1), after), nil
	}
	return l.put(after+1, after), nil
}
