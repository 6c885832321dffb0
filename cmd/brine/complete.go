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

// completeDeployment completes the id of a deployment with the latest ones.
func (c *cli) completeDeployment(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 || c.load(cmd) != nil {
		return nil, nothing
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var list []fleet.Deployment
	if err := c.master.get(ctx, "/v1/deployments", nil, &list); err != nil {
		return nil, nothing
	}
	ids := make([]string, len(list))
	for i, d := range list {
		ids[i] = string(d.ID)
	}
	return ids, nothing
}
