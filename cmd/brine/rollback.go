package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) rollbackCommand() *cobra.Command {
	var req fleet.DeployRequest
	var s start
	cmd := &cobra.Command{
		Use:   "rollback APP GROUP",
		Short: "Bring an earlier revision back",
		Long: `Bring an earlier revision of an application back to a group: the one before, or that of --to.
It is stored, so neither its source nor a build is needed. There is no canary, unless --canary.

On a terminal it asks first, unless --yes. Then it is followed as brine deploy does.

` + exitCodes,
		Example: `  brine rollback shop production
  brine rollback shop production --to v41 --yes`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			req.App, req.Group = fleet.AppName(args[0]), fleet.GroupName(args[1])
			if c.interactive() && !s.yes {
				if agreed, err := c.agreeRollback(ctx, req); err != nil || !agreed {
					return err
				}
			}
			return c.launch(ctx, "/v1/rollbacks", req, s)
		}),
	}
	cmd.Flags().StringVar(&req.Ref, "to", "", "digest or ref of the revision (default: the one before)")
	s.flags(cmd)
	s.lockFlags(cmd, &req)
	strategyFlags(cmd, &req)
	return cmd
}

func (c *cli) agreeRollback(ctx context.Context, req fleet.DeployRequest) (bool, error) {
	var status fleet.Status
	if err := c.master.get(ctx, "/v1/status", nil, &status); err != nil {
		return false, err
	}
	from, to := "", "the revision before"
	i := slices.IndexFunc(status.Groups, func(g fleet.GroupStatus) bool { return g.App == req.App && g.Group == req.Group })
	if i >= 0 && status.Groups[i].Target != nil {
		from = " from " + status.Groups[i].Target.Name()
	}
	if req.Ref != "" {
		to = req.Ref
	}
	agreed, err := c.ask(ctx, fmt.Sprintf("Roll %s %s back%s to %s?", req.App, req.Group, from, to))
	if err == nil && !agreed {
		c.sayf("nothing was done\n")
		return false, exit(fleet.ExitFailed)
	}
	return agreed, err
}
