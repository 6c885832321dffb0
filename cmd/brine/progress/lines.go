package progress

import (
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Tone says how a line is meant; whoever prints it chooses the colour.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Bad
	Busy
	Dim
)

// Line is one line for people, without colour.
type Line struct {
	Text string
	Tone Tone
}

// phaseWidth is that of the longest phases, installing and activating.
const phaseWidth = 10

// line is "12:03:04 web1  installing  what".
func (s *State) line(r fleet.Record, m *minion, what string, tone Tone) Line {
	out := fmt.Sprintf("%s%-*s  %-*s  %s", clock(r), s.idWidth(), m.id, phaseWidth, m.phase, what)
	return Line{Text: strings.TrimRight(out, " "), Tone: tone}
}

func (s *State) idWidth() int {
	width := 0
	for _, m := range s.minions {
		width = max(width, len(m.id))
	}
	return width
}

// Event says in a few words how an event, or one of its scripts, went.
func Event(e fleet.EventResult) string {
	name := eventName(e)
	switch e.Outcome {
	case fleet.EventRunning:
		return name
	case fleet.EventFailed:
		return fmt.Sprintf("%s failed: %s (%s)", name, why(e), text.Duration(e.Ended.Sub(e.Started)))
	default:
		return fmt.Sprintf("%s ok (%s)", name, text.Duration(e.Ended.Sub(e.Started)))
	}
}

func eventName(e fleet.EventResult) string {
	name := string(e.Event)
	if e.Script != "" {
		name += " " + text.Line(e.Script)
	}
	if e.Revert {
		name = "revert: " + name
	}
	return name
}

// why is the reason of a failed event, with the exit code unless the reason has it, without CodeDeploy's naming of the
// script, which stands beside it.
func why(e fleet.EventResult) string {
	reason := text.Line(e.Reason)
	if rest, ok := strings.CutPrefix(reason, "Script at specified location: "+text.Line(e.Script)+" "); ok {
		reason = strings.TrimPrefix(rest, "failed with ")
		if over, ok := strings.CutPrefix(reason, "failed to "); ok {
			reason = "did not " + over
		}
	}
	code := fmt.Sprintf("exit code %d", e.ExitCode)
	switch {
	case reason == "":
		return code
	case e.ExitCode == 0 || strings.Contains(reason, code):
		return reason
	default:
		return reason + ", " + code
	}
}

func clock(r fleet.Record) string { return text.Clock(r.Time) + " " }

func message(s string) string { return strings.Join(text.Lines(s), " | ") }

func toneOf(p fleet.Phase) Tone {
	switch p {
	case fleet.Active:
		return Good
	case fleet.MinionFailed:
		return Bad
	case fleet.Draining, fleet.Installing, fleet.Activating:
		return Busy
	case fleet.Waiting, fleet.Skipped:
		return Dim
	default:
		return Plain
	}
}

func toneOfStatus(s fleet.DeploymentStatus) Tone {
	switch s {
	case fleet.DeploySucceeded:
		return Good
	case fleet.Queued, fleet.Running:
		return Plain
	default:
		return Bad
	}
}
