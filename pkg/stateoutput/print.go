package stateoutput

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Mode says how much is told of each state: Salt's --state-output.
type Mode string

// The modes.
const (
	Full    Mode = "full"    // all of it
	Terse   Mode = "terse"   // a line each
	Mixed   Mode = "mixed"   // a line for those that went well
	Changes Mode = "changes" // a line for those that went well and changed nothing
)

// Modes lists the modes.
func Modes() []Mode { return []Mode{Full, Terse, Mixed, Changes} }

// Valid says whether there is such a mode.
func (m Mode) Valid() error {
	if !slices.Contains(Modes(), m) {
		return fmt.Errorf("unknown state output %q: it must be full, terse, mixed or changes", m)
	}
	return nil
}

// Print writes a report as Salt's highstate outputter does; name is the minion's, or "local".
func Print(w io.Writer, name string, r *Report, mode Mode) {
	fmt.Fprintf(w, "%s:\n", name)
	for _, s := range r.States {
		s.print(w, mode)
	}
	switch {
	case len(r.Errors) > 0 && r.Errors[0].Class == BadCall:
		fmt.Fprintln(w, indent(4, "ERROR: "+r.Errors[0].Message))
	case len(r.Errors) > 0:
		if len(r.States) == 0 {
			fmt.Fprintf(w, "    Data failed to compile:\n")
		}
		for _, e := range r.Errors {
			fmt.Fprintf(w, "----------\n%s\n", indent(4, e.text()))
		}
	case r.States == nil:
		nested(w, 4, r.Return)
	}
	if r.States != nil {
		summary(w, name, r.States)
	}
}

func (e *Error) text() string {
	place := e.Path
	if place == "" {
		place = e.File
	}
	if e.Line > 0 {
		place += fmt.Sprintf(":%d", e.Line)
	}
	if e.Line > 0 && e.Column > 0 {
		place += fmt.Sprintf(":%d", e.Column)
	}
	text := e.Message
	if place != "" {
		text = place + ": " + text
	}
	if e.Snippet != "" {
		text += "\n    " + e.Snippet
	}
	return text
}

// bad reports whether the state failed.
func (s *State) bad() bool { return s.Result != nil && !*s.Result }

func (s *State) result() string {
	switch {
	case s.Result == nil:
		return "None"
	case *s.Result:
		return "True"
	}
	return "False"
}

func (s *State) print(w io.Writer, mode Mode) {
	brief := mode == Terse || mode == Mixed && !s.bad() || mode == Changes && !s.bad() && !s.Changed
	if brief {
		s.line(w)
		return
	}
	fmt.Fprintf(w, "----------\n          ID: %s\n    Function: %s.%s\n", s.ID, s.State, s.Fun)
	if s.Name != s.ID {
		fmt.Fprintf(w, "        Name: %s\n", hang(s.Name))
	}
	fmt.Fprintf(w, "      Result: %s\n     Comment: %s\n", s.result(), hang(s.Comment))
	if !s.Start.IsZero() {
		fmt.Fprintf(w, "     Started: %s\n    Duration: %s ms\n", s.Start.Format("15:04:05.000000"), number(s.Duration))
	}
	if len(s.Warnings) > 0 {
		fmt.Fprintf(w, "    Warnings: %s\n", hang(strings.Join(s.Warnings, "\n")))
	}
	fmt.Fprintf(w, "     Changes:   \n")
	if s.Changes.Len() > 0 {
		nested(w, 14, s.Changes)
	}
}

// line is a state in one line.
func (s *State) line(w io.Writer) {
	result := "Clean"
	switch {
	case s.bad():
		result = "Failed"
	case s.Result == nil:
		result = "Differs"
	case s.Changed:
		result = "Changed"
	}
	fmt.Fprintf(w, "  Name: %s - Function: %s.%s - Result: %s", strings.ReplaceAll(s.Name, "\n", " "), s.State, s.Fun, result)
	if !s.Start.IsZero() {
		fmt.Fprintf(w, " - Started: %s - Duration: %s ms", s.Start.Format("15:04:05.000000"), number(s.Duration))
	}
	fmt.Fprintln(w)
}

func summary(w io.Writer, name string, states []State) {
	var good, bad, changed, would, warned int
	var took float64
	for i := range states {
		s := &states[i]
		took += s.Duration
		warned += len(s.Warnings)
		switch {
		case s.bad():
			bad++
		case s.Result == nil:
			would++
			good++
		default:
			good++
		}
		if s.Changed {
			changed++
		}
	}
	var notes []string
	if would > 0 {
		notes = append(notes, fmt.Sprintf("unchanged=%d", would))
	}
	if changed > 0 {
		notes = append(notes, fmt.Sprintf("changed=%d", changed))
	}
	line := strings.Repeat("-", 12)
	fmt.Fprintf(w, "\nSummary for %s\n%s\nSucceeded: %d", name, line, good)
	if notes != nil {
		fmt.Fprintf(w, " (%s)", strings.Join(notes, ", "))
	}
	fmt.Fprintf(w, "\nFailed:    %d\n", bad)
	if warned > 0 {
		fmt.Fprintf(w, "Warnings:  %d\n", warned)
	}
	unit := "ms"
	if took > 1000 {
		took, unit = took/1000, "s"
	}
	fmt.Fprintf(w, "%s\nTotal states run: %5d\nTotal run time: %7.3f %s\n", line, good+bad, took, unit)
}

func number(ms float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", ms), "0"), ".")
}

// hang lets further lines of a text stand below its first.
func hang(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n              ")
}

func indent(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+pad)
}
