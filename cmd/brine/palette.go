package main

import (
	"charm.land/lipgloss/v2"

	"github.com/brine-deploy/brine/cmd/brine/progress"
)

// palette colours text, or leaves it alone when it is off: the 16 colours of every terminal, no others.
type palette struct{ on bool }

func (p palette) render(color, s string) string {
	if !p.on || s == "" {
		return s
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color(color)).Render(s)
}

func (p palette) good(s string) string { return p.render("2", s) }
func (p palette) bad(s string) string  { return p.render("1", s) }
func (p palette) busy(s string) string { return p.render("3", s) }

func (p palette) dim(s string) string {
	if !p.on || s == "" {
		return s
	}
	return lipgloss.NewStyle().Faint(true).Render(s)
}

func (p palette) strong(s string) string {
	if !p.on || s == "" {
		return s
	}
	return lipgloss.NewStyle().Bold(true).Render(s)
}

// paint colours a line by its tone.
func (p palette) paint(line progress.Line) string {
	switch line.Tone {
	case progress.Good:
		return p.good(line.Text)
	case progress.Bad:
		return p.bad(line.Text)
	case progress.Busy:
		return p.busy(line.Text)
	case progress.Dim:
		return p.dim(line.Text)
	default:
		return line.Text
	}
}
