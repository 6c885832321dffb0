package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/progress"
	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) planCommand() *cobra.Command {
	var req fleet.DeployRequest
	cmd := &cobra.Command{
		Use:   "plan APP GROUP",
		Short: "Show what a deployment would do",
		Long: `Show what a deployment would do, without doing any of it.

Exit codes:
  0  nothing to do
  1  there are changes
  2  error`,
		Example: `  brine plan shop production --ref v42
  brine plan shop production && echo up to date`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			req.App, req.Group = fleet.AppName(args[0]), fleet.GroupName(args[1])
			todo, err := c.showPlan(ctx, req)
			switch {
			case err != nil:
				return &exitWith{error: err, code: fleet.ExitUsage}
			case todo:
				return exit(fleet.ExitFailed)
			default:
				return nil
			}
		}),
	}
	cmd.Flags().StringVar(&req.Ref, "ref", "", "branch, tag, commit or revision digest (default: the application's ref)")
	cmd.Flags().BoolVar(&req.Force, "force", false, "also minions that are at the revision already")
	strategyFlags(cmd, &req)
	return cmd
}

func (c *cli) showPlan(ctx context.Context, req fleet.DeployRequest) (todo bool, err error) {
	plan, err := c.plan(ctx, req)
	switch {
	case err != nil:
		return false, err
	case c.json:
		return changes(plan), c.printJSON(plan)
	}
	lines := planLines(plan, c.now())
	if plan.Pending != nil {
		for _, line := range c.diffLines(*plan.Pending, shownFiles) {
			lines = append(lines, progress.Line{Text: line})
		}
	}
	return changes(plan), c.printLines(lines)
}

// shownFiles is how many of the files that differ a plan names.
const shownFiles = 10

func (c *cli) plan(ctx context.Context, req fleet.DeployRequest) (plan fleet.Plan, err error) {
	err = c.master.post(ctx, "/v1/plan", nil, req, &plan)
	return plan, err
}

// changes reports whether a deployment would do anything: change a minion, or what newcomers get.
func changes(p fleet.Plan) bool {
	return p.Changes() > 0 || p.Revision == nil || p.Revision.Digest != p.Current
}

// planLines is a plan for people.
func planLines(p fleet.Plan, now time.Time) []progress.Line {
	lines := []progress.Line{{Text: fmt.Sprintf("%s %s: %s", p.App, p.Group, originText(p.Origin, now))}}
	if p.Revision == nil {
		lines = append(lines, progress.Line{Text: "  revision: has to be built first"})
	} else {
		lines = append(lines, progress.Line{Text: fmt.Sprintf("  revision: %s, %s, built %s", p.Revision.Digest.Short(), text.Size(p.Revision.Size), text.Ago(p.Revision.Built, now))})
	}
	lines = append(lines, progress.Line{Text: "  rollout:  " + strategyText(p)})
	for _, line := range text.Table([]string{"MINION", "BATCH", "CURRENT", "ACTION", "MEMBER"}, planRows(p)) {
		lines = append(lines, progress.Line{Text: "  " + line})
	}
	for _, pause := range p.Pauses {
		lines = append(lines, progress.Line{Text: "  after " + pauseText(*pause)})
	}
	for _, warning := range p.Warnings {
		lines = append(lines, progress.Line{Text: "warning: " + text.Line(warning), Tone: progress.Busy})
	}
	last := verdict(p)
	if p.ID != "" {
		last += "; plan " + p.ID
	}
	return append(lines, progress.Line{Text: last})
}

// pauseText says what comes between two parts of a rollout.
func pauseText(p fleet.Pause) string {
	var what []string
	if p.Bake > 0 {
		what = append(what, "watch for "+text.Duration(time.Duration(p.Bake)))
	}
	if p.Approve {
		what = append(what, "wait for an approval")
	}
	return fmt.Sprintf("batch %d (%s): %s", p.After+1, p.Stage, strings.Join(what, ", then "))
}

func originText(o fleet.Origin, now time.Time) string {
	out := fleet.Revision{Origin: o}.Name()
	if o.Author != "" {
		out += " by " + text.Line(o.Author)
	}
	if o.Subject != "" {
		out += fmt.Sprintf(", %q", text.Line(o.Subject))
	}
	if !o.Time.IsZero() {
		out += ", " + text.Ago(o.Time, now)
	}
	return out
}

func strategyText(p fleet.Plan) string {
	batch := p.Strategy.Batch.String()
	if batch == "0" {
		batch = "1"
	}
	out := "batches of " + batch
	if p.Strategy.Window {
		out = "rolling, " + batch + " at once"
	}
	if p.Strategy.MinHealthy.Value > 0 {
		out += ", " + p.Strategy.MinHealthy.String() + " stay in service"
	}
	if p.Strategy.MaxFailures > 0 {
		out += ", " + text.Count(p.Strategy.MaxFailures, "failure") + " allowed"
	}
	if p.Strategy.NoRevert {
		out += ", no revert"
	}
	if p.Pool != "" {
		out += ", pool " + p.Pool
	}
	return out
}

func planRows(p fleet.Plan) []text.Row {
	var rows []text.Row
	for _, m := range p.Minions {
		batch, action := strings.TrimSpace(strconv.Itoa(m.Batch+1)+" "+m.Stage), "deploy"
		if m.Skip != "" {
			batch, action = "", "skip: "+m.Skip
		}
		member := m.Member
		if m.Address != "" {
			member += " (" + m.Address + ")"
		}
		rows = append(rows, text.Row{Cells: []string{string(m.Minion), batch, m.Current.Short(), action, member}})
	}
	return rows
}

func verdict(p fleet.Plan) string {
	batches := 0
	for _, m := range p.Minions {
		batches = max(batches, m.Batch+1)
	}
	switch {
	case p.Changes() > 0:
		noun := "batches"
		if batches == 1 {
			noun = "batch"
		}
		return fmt.Sprintf("%s to change in %d %s", text.Count(p.Changes(), "minion"), batches, noun)
	case changes(p):
		return "no minion to change; newcomers would get this revision"
	default:
		return "nothing to do"
	}
}
