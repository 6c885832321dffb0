package file

import (
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// edit is one change of a text file, as the functions that change text make them.
type edit struct {
	c             *state.Call
	name          string
	before, after string
	show          bool
	backup        string // what a copy's name ends in; empty for none
}

// openText reads the file that a state names.
func openText(c *state.Call, a *args.Reader) (e *edit, res state.Result, failed bool) {
	e = &edit{c: c, name: expand(c.Name), show: a.Bool("show_changes", true)}
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	if res, bad := notAbsolute(e.name); bad {
		return nil, res, true
	}
	text, err := readText(e.name)
	if err != nil {
		return nil, args.Failed("%v", err), true
	}
	e.before, e.after = text, text
	return e, state.Result{}, false
}

// readBackup is the argument backup of functions that leave a copy beside the file.
func readBackup(a *args.Reader, def string) string {
	switch v := a.Get("backup").(type) {
	case nil:
		return def
	case bool:
		if v {
			return ".bak"
		}
		return ""
	default:
		ending := a.Text("backup", def)
		if strings.ContainsAny(ending, "/\x00") {
			a.Wrong("backup: %q is no ending of a name", ending)
		}
		return ending
	}
}

// words are what a function says.
type words struct{ would, done, fine string }

// finish writes what is different, and tells of it.
func (e *edit) finish(w words) state.Result {
	if e.after == e.before {
		return args.Fine("%s", w.fine)
	}
	text := "<show_changes=False>"
	if e.show {
		text = diff([]byte(e.before), []byte(e.after))
	}
	changes := data.NewMap("diff", text)
	if e.c.Test {
		return args.Would(changes, "%s", w.would)
	}
	if e.backup != "" {
		if err := e.keepCopy(); err != nil {
			return args.Failed("%v", err)
		}
	}
	if err := writeText(e.name, e.after); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, "%s", w.done)
}

func (e *edit) keepCopy() error {
	real, err := resolve(e.name)
	if err != nil {
		return err
	}
	info, err := stat(real, true)
	if err != nil {
		return fmt.Errorf("back up %s: %w", e.name, err)
	}
	return renameOver(e.name+e.backup, func(temp string) error { return copyFile(real, temp, info.Mode()) })
}

// flags reads Python's flags: a number, a name, or a list of names.
func flags(a *args.Reader) (f regex.Flags) {
	numbers := map[int64]regex.Flags{2: regex.IgnoreCase, 8: regex.Multiline, 16: regex.DotAll, 64: regex.Verbose}
	if n, ok := a.Get("flags").(int64); ok {
		for bit, flag := range numbers {
			if n&bit != 0 {
				f |= flag
			}
		}
		return f
	}
	if !a.Has("flags") {
		return regex.Multiline
	}
	for _, name := range a.List("flags") {
		switch strings.ToUpper(name) {
		case "IGNORECASE", "I":
			f |= regex.IgnoreCase
		case "MULTILINE", "M", "8":
			f |= regex.Multiline
		case "DOTALL", "S":
			f |= regex.DotAll
		case "VERBOSE", "X":
			f |= regex.Verbose
		case "UNICODE", "U", "ASCII", "A", "LOCALE", "L":
		default:
			a.Wrong("flags: %q is no flag of Python's expressions", name)
		}
	}
	return f
}

// expression reads an argument that is a regular expression.
func expression(a *args.Reader, name string, f regex.Flags) *regex.Regexp {
	text := a.Text(name, "")
	if text == "" {
		return nil
	}
	re, err := regex.Compile(text, f)
	if err != nil {
		a.Wrong("%s: %v", name, err)
	}
	return re
}

func found(re *regex.Regexp, text string) (bool, error) {
	m, err := re.Search(text)
	return m != nil, err
}
