package progress

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Rows is the picture of the deployment now: a head and a line per minion with its phase, its current event and how long
// it has been at it. When more minions than limit are there, those that need eyes come first and the rest are counted.
func (s *State) Rows(now time.Time, limit int) []Line {
	head := string(s.status)
	if !s.began.IsZero() {
		head += "  " + text.Duration(now.Sub(s.began))
	}
	if s.note != "" {
		head += "  " + text.Line(s.note)
	}
	rows := []Line{{Text: head, Tone: toneOfStatus(s.status)}}
	shown, rest := s.choose(max(1, limit))
	for _, m := range shown {
		rows = append(rows, s.row(m, now))
	}
	if len(rest) > 0 {
		rows = append(rows, Line{Text: "and " + counted(rest), Tone: Dim})
	}
	return rows
}

func (s *State) row(m *minion, now time.Time) Line {
	what, elapsed := text.Line(m.reason), ""
	if m.event != nil {
		what = Event(*m.event)
	}
	if toneOf(m.phase) == Busy && !m.since.IsZero() {
		elapsed = text.Duration(now.Sub(m.since))
	}
	line := fmt.Sprintf("  %-*s  %-*s  %6s  %s", s.idWidth(), m.id, phaseWidth, m.phase, elapsed, what)
	return Line{Text: strings.TrimRight(line, " "), Tone: toneOf(m.phase)}
}

// choose gives the minions to show, in their order, and those there is no room for.
func (s *State) choose(limit int) (shown, rest []*minion) {
	if len(s.minions) <= limit {
		return s.minions, nil
	}
	urgent := slices.Clone(s.minions)
	slices.SortStableFunc(urgent, func(a, b *minion) int { return cmp.Compare(urgency(a.phase), urgency(b.phase)) })
	rest = urgent[limit:]
	for _, m := range s.minions {
		if !slices.Contains(rest, m) {
			shown = append(shown, m)
		}
	}
	return shown, rest
}

// urgency puts what is being worked on first, then what failed, then what waits, then what is done.
func urgency(p fleet.Phase) int {
	switch p {
	case fleet.Draining, fleet.Installing, fleet.Activating:
		return 0
	case fleet.MinionFailed:
		return 1
	case fleet.Waiting:
		return 2
	default:
		return 3
	}
}

func counted(minions []*minion) string {
	count := map[fleet.Phase]int{}
	var order []fleet.Phase
	for _, m := range minions {
		if count[m.phase] == 0 {
			order = append(order, m.phase)
		}
		count[m.phase]++
	}
	parts := make([]string, len(order))
	for i, p := range order {
		parts[i] = fmt.Sprintf("%d %s", count[p], p)
	}
	return text.Count(len(minions), "more minion") + ": " + strings.Join(parts, ", ")
}
