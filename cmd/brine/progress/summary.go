package progress

import (
	"slices"
	"strings"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Summary says how a deployment ended: the outcome, what is live where, and why minions failed, with their output. now is
// where the group stands; nil when that is not known, then the deployment's own view is shown.
func Summary(d fleet.Deployment, now *fleet.GroupStatus) []Line {
	lines := []Line{outcome(d)}
	if len(d.Minions) > 0 {
		for _, row := range text.Table([]string{"MINION", "STATE", "LIVE", "POOL", "REASON"}, rows(d, now)) {
			lines = append(lines, Line{Text: "  " + row})
		}
	}
	for _, m := range d.Minions {
		lines = append(lines, failures(m)...)
	}
	return lines
}

func outcome(d fleet.Deployment) Line {
	what := string(d.App) + " " + string(d.Group) + ": "
	switch {
	case d.Revision != nil:
		what += d.Revision.Name() + " "
	case d.Ref != "":
		what += d.Ref + " "
	}
	what += string(d.Status)
	if !d.Ended.IsZero() {
		what += " after " + text.Duration(d.Ended.Sub(d.Created))
	}
	if d.Reason != "" {
		what += ": " + strings.Join(text.Lines(d.Reason), "\n  ")
	}
	return Line{Text: what, Tone: toneOfStatus(d.Status)}
}

func rows(d fleet.Deployment, now *fleet.GroupStatus) []text.Row {
	var out []text.Row
	for _, m := range d.Minions {
		live, pool := liveOf(d, m), ""
		if now != nil {
			if i := slices.IndexFunc(now.Minions, func(g fleet.GroupMinion) bool { return g.Minion == m.Minion }); i >= 0 {
				live, pool = now.Minions[i].Live, now.Minions[i].Pool
			}
		}
		out = append(out, text.Row{Cells: []string{string(m.Minion), string(m.Phase), named(d, live), pool, reason(m)}})
	}
	return out
}

// reasonWidth bounds a reason in the table when the failure is told below it anyway.
const reasonWidth = 60

func reason(m *fleet.MinionProgress) string {
	runes := []rune(text.Line(m.Reason))
	if len(runes) <= reasonWidth || len(failures(m)) == 0 {
		return string(runes)
	}
	return string(runes[:reasonWidth]) + "…"
}

// liveOf is what the deployment itself knows to be live on a minion.
func liveOf(d fleet.Deployment, m *fleet.MinionProgress) fleet.Digest {
	switch m.Phase {
	case fleet.Active:
		if d.Revision != nil {
			return d.Revision.Digest
		}
	case fleet.MinionReverted:
		return d.Previous
	case fleet.Skipped, fleet.Waiting:
		return m.Previous
	}
	return ""
}

// named is a digest with its name where the deployment knows it.
func named(d fleet.Deployment, digest fleet.Digest) string {
	if d.Revision != nil && digest == d.Revision.Digest {
		return digest.Short() + " " + d.Revision.Name()
	}
	return digest.Short()
}

// failures tells which events of a minion failed, with the end of their output.
func failures(m *fleet.MinionProgress) []Line {
	var lines []Line
	for _, e := range m.Events {
		if e.Outcome != fleet.EventFailed {
			continue
		}
		lines = append(lines, Line{Text: string(m.Minion) + ": " + Event(e), Tone: Bad})
		for _, out := range text.Lines(e.Tail) {
			lines = append(lines, Line{Text: "    " + out})
		}
	}
	return lines
}
