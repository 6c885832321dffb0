package main

import (
	"context"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) historyCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history [APP] [GROUP]",
		Short: "List deployments, the newest first",
		Example: `  brine history
  brine history shop production --limit 5`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			if limit < 1 {
				return usage("", "--limit is a number from 1")
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for i, name := range []string{"app", "group"}[:len(args)] {
				query.Set(name, args[i])
			}
			var list []fleet.Deployment
			if err := c.master.get(ctx, "/v1/deployments", query, &list); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(list)
			}
			if len(list) == 0 {
				c.sayf("no deployments yet\n")
				return nil
			}
			return c.print(text.Table([]string{"DEPLOYMENT", "WHEN", "APP", "GROUP", "KIND", "REVISION", "STATUS", "TOOK", "BY", "REASON"}, c.historyRows(list))...)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many")
	return cmd
}

func (c *cli) historyRows(list []fleet.Deployment) []text.Row {
	rows := make([]text.Row, 0, len(list))
	for _, d := range list {
		took, revision := "", d.Ref
		if !d.Ended.IsZero() {
			took = text.Duration(d.Ended.Sub(d.Created))
		}
		if d.Revision != nil {
			revision = d.Revision.Name()
		}
		row := text.Row{Cells: []string{
			string(d.ID), text.Stamp(d.Created), string(d.App), string(d.Group), string(d.Kind), revision, string(d.Status), took, d.By, d.Reason,
		}}
		if d.Status.Ended() && d.Status != fleet.DeploySucceeded {
			row.Paint = c.out.bad
		}
		rows = append(rows, row)
	}
	return rows
}
