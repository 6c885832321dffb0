package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show DEPLOYMENT",
		Short: "Show all that is known of a deployment",
		Long: `Show who deployed what, from where, when and why, what it waits for, and a timeline of each minion:
every event with its script, how long it took, and why it failed.`,
		Example: `  brine show 20261121-101500-4f2a1c9e
  brine show 20261121-101500-4f2a1c9e -o json | jq '.minions[].reason'`,
		Args:              positional,
		ValidArgsFunction: c.completeDeployment,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			d, err := c.deployment(ctx, fleet.DeploymentID(args[0]))
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(d)
			}
			var notes []fleet.Record
			err = stream(ctx, c.master, "/v1/deployments/"+url.PathEscape(args[0])+"/records", nil, func(r fleet.Record) {
				if r.Kind == fleet.DeploymentNote {
					notes = append(notes, r)
				}
			})
			if err != nil {
				return err
			}
			return c.print(slices.Concat(c.showHead(d), showNotes(notes), c.showTimeline(d))...)
		}),
	}
}

// showHead is what was to be done, by whom, and how it ended.
func (c *cli) showHead(d fleet.Deployment) []string {
	lines := []string{fmt.Sprintf("%s %s %s: %s", d.Kind, d.App, d.Group, d.Status)}
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("  %-9s %s", name+":", value))
		}
	}
	add("reason", text.Line(d.Reason))
	if d.Revision != nil {
		add("revision", originText(d.Revision.Origin, c.now())+", "+d.Revision.Digest.Short())
	} else {
		add("ref", d.Ref)
	}
	add("before", d.Previous.Short())
	add("by", d.By)
	add("began", text.Stamp(d.Created))
	if !d.Ended.IsZero() {
		add("ended", text.Stamp(d.Ended)+" after "+text.Duration(d.Ended.Sub(d.Created)))
	}
	add("retries", string(d.Retries))
	add("glass", text.Line(d.BreakGlass))
	for _, p := range d.Pauses {
		add("pause", pauseText(*p)+pauseState(*p))
	}
	return lines
}

func pauseState(p fleet.Pause) string {
	switch {
	case p.Answer != nil && p.Answer.Approved:
		return "; approved by " + p.Answer.By
	case p.Answer != nil:
		return "; rejected by " + p.Answer.By
	case p.Done:
		return "; over"
	case !p.Since.IsZero():
		return "; since " + text.Stamp(p.Since)
	default:
		return ""
	}
}

func showNotes(notes []fleet.Record) []string {
	var lines []string
	for _, r := range notes {
		lines = append(lines, "  "+text.Clock(r.Time)+"  "+text.Line(r.Message))
	}
	return lines
}

// showTimeline is a line for each event of each minion, in the order of the plan.
func (c *cli) showTimeline(d fleet.Deployment) []string {
	var rows []text.Row
	for _, m := range d.Minions {
		batch := fmt.Sprint(m.Batch + 1)
		if m.Phase == fleet.Skipped {
			batch = ""
		}
		head := text.Row{Cells: []string{string(m.Minion), batch, "", "", "", string(m.Phase), text.Line(m.Reason)}}
		if m.Phase == fleet.MinionFailed {
			head.Paint = c.out.bad
		}
		rows = append(rows, head)
		for _, e := range m.Events {
			rows = append(rows, c.eventRow(e))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return text.Table([]string{"MINION", "BATCH", "AT", "TOOK", "EVENT", "STATE", "REASON"}, rows)
}

func (c *cli) eventRow(e fleet.EventResult) text.Row {
	took := ""
	if !e.Ended.IsZero() {
		took = text.Duration(e.Ended.Sub(e.Started).Round(time.Millisecond))
	}
	what := string(e.Event)
	if e.Script != "" {
		what += " " + e.Script
	}
	if e.Revert {
		what += " (revert)"
	}
	row := text.Row{Cells: []string{"", "", text.Clock(e.Started), took, what, string(e.Outcome), text.Line(e.Reason)}}
	if e.Outcome == fleet.EventFailed {
		row.Paint = c.out.bad
	}
	return row
}
