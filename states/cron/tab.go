package cron

import (
	"fmt"
	"strings"
)

// The words that mark what is managed; they are Salt's, so that it and brine can take over from each other.
const (
	tag        = "# Lines below here are managed by Salt, do not edit"
	identifier = "SALT_CRON_IDENTIFIER"
	disabled   = "#DISABLED#"
)

// job is one line of a crontab that is managed, with the comment above it.
type job struct {
	when    string // five fields, or @special
	cmd     string
	comment string
	id      string
	off     bool
}

func (j job) special() bool { return strings.HasPrefix(j.when, "@") }

// variable is one environment variable of a crontab.
type variable struct{ name, value string }

// tab is a crontab: what others wrote in it stays as it is, above the tag.
type tab struct {
	before []string
	env    []variable
	jobs   []job
}

func parse(text string) *tab {
	t := &tab{}
	managed := false
	var comment []string
	id := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == tag:
			managed = true
			continue
		case !managed:
			t.before = append(t.before, line)
			continue
		}
		trimmed := strings.TrimSpace(line)
		off := strings.HasPrefix(trimmed, disabled)
		trimmed = strings.TrimSpace(strings.TrimPrefix(trimmed, disabled))
		if rest, isComment := strings.CutPrefix(trimmed, "#"); isComment {
			said, mark, found := strings.Cut(rest, identifier+":")
			if found {
				id = strings.TrimSpace(mark)
			}
			if said = strings.TrimSpace(said); said != "" {
				comment = append(comment, said)
			}
			continue
		}
		if trimmed == "" {
			continue
		}
		if j, ok := parseJob(trimmed); ok {
			j.comment, j.id, j.off = strings.Join(comment, "\n"), id, off
			t.jobs = append(t.jobs, j)
		} else if name, value, ok := strings.Cut(trimmed, "="); ok {
			t.env = append(t.env, variable{strings.TrimSpace(name), strings.TrimSpace(value)})
		} else {
			t.before = append(t.before, line) // what nobody understands is kept
		}
		comment, id = nil, ""
	}
	return t
}

func parseJob(line string) (job, bool) {
	fields := 5
	if strings.HasPrefix(line, "@") {
		fields = 1
	}
	rest := line
	when := make([]string, 0, fields)
	for range fields {
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			return job{}, false
		}
		when = append(when, rest[:end])
		rest = strings.TrimLeft(rest[end:], " \t")
	}
	if rest == "" || fields == 5 && !strings.ContainsAny(when[0][:1], "0123456789*") {
		return job{}, false
	}
	return job{when: strings.Join(when, " "), cmd: rest}, true
}

func (t *tab) String() string {
	var b strings.Builder
	for _, line := range t.before {
		b.WriteString(line + "\n")
	}
	if len(t.env)+len(t.jobs) > 0 || len(t.before) > 0 {
		b.WriteString(tag + "\n")
	}
	for _, v := range t.env {
		fmt.Fprintf(&b, "%s=%s\n", v.name, v.value)
	}
	for _, special := range []bool{false, true} {
		for _, j := range t.jobs {
			if j.special() == special {
				b.WriteString(j.String())
			}
		}
	}
	return b.String()
}

// String is the job's lines.
func (j job) String() string {
	line := ""
	if j.comment != "" {
		line += " " + strings.ReplaceAll(strings.TrimRight(j.comment, "\n "), "\n", "\n# ")
	}
	if j.id != "" {
		line += " " + identifier + ":" + j.id
	}
	if line != "" {
		line = "#" + line + "\n"
	}
	if j.off {
		line += disabled
	}
	return line + j.when + " " + j.cmd + "\n"
}

// find gives the index of the job that a state speaks of: by its identifier, else by its command; -1 for none.
func (t *tab) find(cmd, id string) int {
	for i, j := range t.jobs {
		if j.id != "" && j.id == id {
			return i
		}
	}
	for i, j := range t.jobs {
		if j.cmd == cmd && (j.id == "" || j.id == cmd || id == cmd) {
			return i
		}
	}
	return -1
}
