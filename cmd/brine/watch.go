package main

import (
	"context"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) watchCommand() *cobra.Command {
	var log bool
	cmd := &cobra.Command{
		Use:   "watch [DEPLOYMENT]",
		Short: "Follow a deployment",
		Long: `Follow a deployment from its beginning to its end, by default the newest that is running.
When none is running it says so, and the exit code is 0.

` + exitCodes,
		Example: `  brine watch
  brine watch 20260501T120304-3f2a`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return c.watchNewest(ctx, log)
			}
			d, err := c.deployment(ctx, fleet.DeploymentID(args[0]))
			if err != nil {
				return err
			}
			return c.follow(ctx, d, log)
		}),
	}
	logFlag(cmd, &log)
	return cmd
}

func (c *cli) watchNewest(ctx context.Context, log bool) error {
	var recent []fleet.Deployment
	if err := c.master.get(ctx, "/v1/deployments", url.Values{"limit": {"100"}}, &recent); err != nil {
		return err
	}
	i := slices.IndexFunc(recent, func(d fleet.Deployment) bool { return !d.Status.Ended() })
	switch {
	case i >= 0:
		return c.follow(ctx, recent[i], log)
	case len(recent) == 0:
		c.sayf("no deployment is running\n")
	default:
		d := recent[0]
		c.sayf("no deployment is running; the last was %s: %s %s %s %s\n", d.ID, d.App, d.Group, d.Status, text.Ago(d.Ended, c.now()))
	}
	return nil
}
