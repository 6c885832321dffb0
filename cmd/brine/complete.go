package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// completeGroup completes APP and GROUP for the shell with what the master knows.
func (c *cli) completeGroup(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 1 || c.load(cmd) != nil {
		return nil, nothing
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var status fleet.Status
	if err := c.master.get(ctx, "/v1/status", nil, &status); err != nil {
		return nil, nothing
	}
	var names []string
	for _, g := range status.Groups {
		switch {
		case len(args) == 0:
			names = append(names, string(g.App))
		case string(g.App) == args[0]:
			names = append(names, string(g.Group))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nothing
}
