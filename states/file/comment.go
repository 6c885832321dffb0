package file

import (
	"context"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var commentParams = []string{"regex", "char", "backup", "ignore_missing", "show_changes"} //nolint:gochecknoglobals // a table

// commenting is one call of comment or uncomment.
type commenting struct {
	*edit
	char, expr string // the expression as it was given
	bare       string // without flags, ^ and $
	ignore     bool
}

func readCommenting(c *state.Call) (*commenting, state.Result, bool) {
	a := args.Of(c)
	m := &commenting{char: a.Text("char", "#"), expr: a.Need("regex"), ignore: a.Bool("ignore_missing", false)}
	backup := readBackup(a, ".bak")
	m.bare = m.expr
	if strings.HasPrefix(m.bare, "(?") {
		if end := strings.IndexByte(m.bare, ')'); end > 0 && strings.Trim(m.bare[2:end], "iLmsux") == "" {
			m.bare = m.bare[end+1:]
		}
	}
	m.bare = strings.TrimSuffix(strings.TrimPrefix(m.bare, "^"), "$")
	if m.expr != "" {
		expression(a, "regex", 0)
	}
	e, res, failed := openText(c, a)
	if failed {
		return nil, res, true
	}
	e.backup = backup
	m.edit = e
	return m, res, false
}

func search(expr, text string) bool {
	re, err := regex.Compile(expr, regex.Multiline)
	if err != nil {
		return false
	}
	ok, err := found(re, text)
	return err == nil && ok
}

func runComment(_ context.Context, c *state.Call) state.Result {
	m, res, stop := readCommenting(c)
	if stop {
		return res
	}
	char := regex.Escape(m.char)
	if !search(`^(?!\s*`+char+`).*`+m.bare, m.before) {
		switch {
		case search(char+".*"+m.bare, m.before):
			return args.Fine("Pattern already commented")
		case m.ignore:
			return args.Fine("Pattern not found and ignore_missing set to True")
		}
		return args.Failed("%s: Pattern not found", m.bare)
	}
	expr := "(" + strings.TrimSuffix(strings.TrimPrefix(m.expr, "^"), "$") + ")"
	if strings.HasSuffix(m.expr, "$") {
		expr += "$"
	}
	if strings.HasPrefix(m.expr, "^") {
		expr = "^" + expr
	}
	err := m.lines(expr, func(line string) string { return m.char + line })
	return m.result(err, "Commented lines successfully")
}

func runUncomment(_ context.Context, c *state.Call) state.Result {
	m, res, stop := readCommenting(c)
	if stop {
		return res
	}
	char, bare := regex.Escape(m.char), strings.TrimPrefix(m.expr, "^")
	if !search(`^[ \t]*`+char+`[ \t]*`+bare, m.before) {
		if search(`^[ \t]*`+bare, m.before) {
			return args.Fine("Pattern already uncommented")
		}
		return args.Failed("%s: Pattern not found", m.expr)
	}
	err := m.lines(`^[ \t]*`+char+`[ \t]*(`+bare+`)`, func(line string) string {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		return indent + strings.TrimPrefix(line[len(indent):], m.char)
	})
	return m.result(err, "Uncommented lines successfully")
}

// lines changes all lines that an expression is found in at their start.
func (m *commenting) lines(expr string, change func(string) string) error {
	re, err := regex.Compile(expr, 0)
	if err != nil {
		return fmt.Errorf("regex: %w", err)
	}
	var b strings.Builder
	for line := range strings.Lines(m.before) {
		end := line[len(strings.TrimRight(line, "\r\n")):]
		line = strings.TrimSuffix(line, end)
		at, err := re.Match(line)
		if err != nil {
			return err
		}
		if at != nil {
			line = change(line)
		}
		b.WriteString(line + end)
	}
	m.after = b.String()
	return nil
}

func (m *commenting) result(err error, done string) state.Result {
	if err != nil {
		return args.Failed("%v", err)
	}
	if m.c.Test && m.after != m.before {
		return args.Would(data.NewMap(m.name, "updated"), "File %s is set to be updated", m.name)
	}
	if m.after == m.before {
		return args.Failed("Expected %s lines not found", strings.ToLower(strings.TrimSuffix(done, " lines successfully")))
	}
	return m.finish(words{done: done})
}
