package file

import (
	"context"
	"strings"

	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var replaceParams = []string{ //nolint:gochecknoglobals // a table
	"pattern", "repl", "count", "flags", "bufsize", "append_if_not_found", "prepend_if_not_found", "not_found_content", "backup", "show_changes",
	"ignore_if_missing", "backslash_literal",
}

func runReplace(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	a.Need("pattern")
	re := expression(a, "pattern", flags(a))
	repl := a.Text("repl", "")
	if !a.Has("repl") {
		a.Wrong("Missing parameter repl")
	}
	count, toEnd, toStart := a.Int("count", 0), a.Bool("append_if_not_found", false), a.Bool("prepend_if_not_found", false)
	missing := a.Text("not_found_content", repl)
	ignore, literal, backup := a.Bool("ignore_if_missing", false), a.Bool("backslash_literal", false), readBackup(a, ".bak")
	said := words{"Changes would have been made", "Changes have been made", "No changes needed to be made"}
	if ignore && !exists(expand(c.Name)) {
		if res, bad := a.Bad(); bad {
			return res
		}
		return args.Fine("%s", said.fine)
	}
	e, res, failed := openText(c, a)
	if failed {
		return res
	}
	if re == nil {
		return args.Failed("pattern is empty")
	}
	e.backup = backup
	if literal {
		repl = strings.ReplaceAll(repl, `\`, `\\`)
	}
	after, n, err := re.Sub(repl, e.before, int(count))
	if err != nil {
		return args.Failed("%v", err)
	}
	e.after = after
	if n == 0 && (toEnd || toStart) && !hasLine(e.before, missing) {
		e.after = added(e.before, []string{strings.TrimSuffix(missing, "\n")}, toStart)
	}
	return e.finish(said)
}

// hasLine reports whether a text has lines, as they are.
func hasLine(text, lines string) bool {
	re, err := regex.Compile("^"+regex.Escape(lines)+`($|(?=\r\n))`, regex.Multiline)
	if err != nil {
		return false
	}
	ok, err := found(re, text)
	return err == nil && ok
}

var blockParams = []string{ //nolint:gochecknoglobals // a table
	"marker_start", "marker_end", "source", "source_hash", "template", "sources", "source_hashes", "defaults", "context", "content",
	"append_if_not_found", "prepend_if_not_found", "backup", "show_changes", "append_newline", "insert_before_match", "insert_after_match", "saltenv",
}

func runBlockreplace(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	start, end := a.Text("marker_start", "#-- start managed zone --"), a.Text("marker_end", "#-- end managed zone --")
	content, from, hash := a.Text("content", ""), a.Text("source", ""), a.Text("source_hash", "")
	b := block{
		start: start, end: end, toEnd: a.Bool("append_if_not_found", false), toStart: a.Bool("prepend_if_not_found", false),
		before: expression(a, "insert_before_match", 0), after: expression(a, "insert_after_match", 0), newline: true,
	}
	if a.Has("append_newline") {
		b.newline = a.Bool("append_newline", true)
		b.always = b.newline
	}
	tmpl, backup, sources := readTemplate(a), readBackup(a, ".bak"), a.List("sources")
	if len(sources) > 0 {
		from = sources[0]
	}
	e, res, failed := openText(c, a)
	if failed {
		return res
	}
	e.backup = backup
	switch {
	case from != "":
		s := source{from: from, hash: hash}
		text, err := s.text(ctx, c.Host, e.name, tmpl)
		if err != nil {
			return args.Failed("%v", err)
		}
		content += text
	case tmpl.engine != "":
		text, err := tmpl.text(ctx, c.Host, e.name, content)
		if err != nil {
			return args.Failed("%v", err)
		}
		content = text
	}
	after, problem := b.put(e.before, content)
	if problem != "" {
		return args.Failed("Encountered error managing block: %s", problem)
	}
	e.after = after
	return e.finish(words{"Changes would be made", "Changes were made", "No changes needed to be made"})
}

// block is what is between two markers.
type block struct {
	start, end      string
	toEnd, toStart  bool
	before, after   *regex.Regexp
	newline, always bool // newline: at the end of the content; always: even where there is one
}

func (b block) put(text, content string) (after, problem string) {
	if b.always || b.newline && content != "" && !strings.HasSuffix(content, "\n") {
		content += "\n"
	}
	var out strings.Builder
	inside, found := false, false
	for line := range strings.Lines(text) {
		switch {
		case !inside && strings.Contains(line, b.start):
			inside, found = true, true
			out.WriteString(line)
			if rest, ok := b.oneLine(line); ok {
				_ = rest
				inside = false
			} else if !strings.HasSuffix(line, "\n") {
				out.WriteString("\n")
			}
			if inside {
				out.WriteString(content)
			}
		case inside && strings.Contains(line, b.end):
			inside = false
			out.WriteString(line)
		case !inside:
			out.WriteString(line)
		}
	}
	switch {
	case inside:
		return "", "Unterminated marked block. End of file reached before marker_end."
	case found:
		return out.String(), ""
	}
	return b.insert(text, b.start+"\n"+content+b.end+"\n")
}

// oneLine reports whether both markers are on one line.
func (b block) oneLine(line string) (string, bool) {
	_, rest, _ := strings.Cut(line, b.start)
	return rest, b.end != b.start && strings.Contains(rest, b.end)
}

// insert adds a block that is not there.
func (b block) insert(text, all string) (after, problem string) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if b.before != nil || b.after != nil {
		var out strings.Builder
		placed := false
		for line := range strings.Lines(text) {
			if !placed && b.before != nil {
				if m, err := b.before.Search(line); err == nil && m != nil {
					out.WriteString(all)
					placed = true
				}
			}
			out.WriteString(line)
			if !placed && b.after != nil {
				if m, err := b.after.Search(line); err == nil && m != nil {
					out.WriteString(all)
					placed = true
				}
			}
		}
		if placed {
			return out.String(), ""
		}
	}
	switch {
	case b.toStart:
		return all + text, ""
	case b.toEnd:
		return text + all, ""
	}
	return "", "Cannot edit marked block. Markers were not found in file."
}
