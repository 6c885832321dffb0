package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [APP] [GROUP]",
		Short: "Show the fleet: what is live where, what is under way",
		Example: `  brine status
  brine status shop production -o json`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			var status fleet.Status
			if err := c.master.get(ctx, "/v1/status", nil, &status); err != nil {
				return err
			}
			if err := narrow(&status, args); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(status)
			}
			return c.print(c.statusLines(status)...)
		}),
	}
}

// narrow leaves the groups of an application, or one group. A name that is not there is an error that lists the known.
func narrow(status *fleet.Status, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var apps, groups []string
	var left []fleet.GroupStatus
	for _, g := range status.Groups {
		apps = append(apps, string(g.App))
		if string(g.App) != args[0] {
			continue
		}
		groups = append(groups, string(g.Group))
		if len(args) == 1 || string(g.Group) == args[1] {
			left = append(left, g)
		}
	}
	switch {
	case len(groups) == 0:
		return usage(known("applications", apps), "unknown application %q", args[0])
	case len(left) == 0:
		return usage(known("groups", groups), "application %s has no group %q", args[0], args[1])
	}
	status.Groups = left
	return nil
}

func known(what string, names []string) string {
	slices.Sort(names)
	return "known " + what + ": " + cmp.Or(strings.Join(slices.Compact(names), ", "), "none")
}

func (c *cli) statusLines(s fleet.Status) []string {
	head := fmt.Sprintf("%s, %d connected", text.Count(s.Minions, "minion"), s.Connected)
	if s.Pending > 0 {
		head += c.out.busy(fmt.Sprintf(", %s waiting to be accepted (brine keys list)", text.Count(s.Pending, "key")))
	}
	lines := []string{head}
	for _, g := range s.Groups {
		lines = append(lines, "")
		lines = append(lines, c.groupLines(g)...)
	}
	return lines
}

func (c *cli) groupLines(g fleet.GroupStatus) []string {
	target := "nothing deployed yet"
	if g.Target != nil {
		target = g.Target.Name() + ", revision " + g.Target.Digest.Short()
	}
	lines := []string{c.out.strong(string(g.App)+" "+string(g.Group)) + "  " + target}
	if d := g.Running; d != nil {
		lines = append(lines, c.out.busy(fmt.Sprintf("  %s  %s %s by %s, since %s (brine watch %s)", d.Status, d.Kind, revisionText(*d), d.By, text.Ago(d.Created, c.now()), d.ID)))
	}
	if d := g.Last; d != nil {
		line := fmt.Sprintf("  last: %s %s %s %s by %s", d.Kind, revisionText(*d), d.Status, text.Ago(d.Ended, c.now()), d.By)
		if d.Status != fleet.DeploySucceeded {
			line = c.out.bad(line + ": " + text.Line(d.Reason))
		}
		lines = append(lines, line)
	}
	if g.PoolError != "" {
		lines = append(lines, c.out.bad("  pool: "+text.Line(g.PoolError)))
	}
	if len(g.Minions) == 0 {
		return append(lines, "  no minion matches its target")
	}
	for _, line := range text.Table([]string{"MINION", "CONNECTED", "LIVE", "POOL"}, c.minionRows(g)) {
		lines = append(lines, "  "+line)
	}
	return lines
}

func revisionText(d fleet.Deployment) string {
	if d.Revision != nil {
		return d.Revision.Name()
	}
	return d.Ref
}

func (c *cli) minionRows(g fleet.GroupStatus) []text.Row {
	rows := make([]text.Row, 0, len(g.Minions))
	for _, m := range g.Minions {
		connected, live, pool := "yes", m.Live.Short(), m.Pool
		row := text.Row{}
		if !m.Connected {
			connected, row.Paint = "no", c.out.bad
		}
		if g.Target != nil && m.Live != "" && m.Live != g.Target.Digest {
			live += " (not the target)"
		}
		if m.Drained {
			pool = strings.TrimSpace(pool + " (drained)")
		}
		row.Cells = []string{string(m.Minion), connected, live, pool}
		rows = append(rows, row)
	}
	return rows
}
