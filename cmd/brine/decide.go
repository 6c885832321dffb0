package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) decideCommand() *cobra.Command {
	var req fleet.DecideRequest
	var s start
	cmd := &cobra.Command{
		Use:   "decide DEPLOYMENT MINION CHOICE",
		Short: "Say what becomes of a minion that failed",
		Long: `Decide about a minion that failed, where the strategy says "on_failure: ask". The rollout waits for that.

  retry    try it once more
  ignore   leave it out of its pool, and go on; the deployment ends partly
  exclude  the same, as if it had not been in the plan; a revert leaves it alone
  abort    the deployment has failed, and the revision before is brought back as its strategy says

The deployment is followed to its end, unless --detach.

` + exitCodes,
		Example: `  brine decide 20261121-101500-4f2a1c9e web3 retry
  brine decide 20261121-101500-4f2a1c9e web3 exclude --reason "its disk is broken"`,
		Args: positional,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) < 2 {
				return c.completeDeployment(cmd, args, toComplete)
			}
			var words []string
			for _, choice := range fleet.Choices() {
				words = append(words, string(choice))
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: c.connected(func(ctx context.Context, args []string) error {
			req.Minion, req.Choice = fleet.MinionID(args[1]), fleet.Choice(args[2])
			return c.tell(ctx, args[0], "decide", req, s)
		}),
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the others")
	cmd.Flags().BoolVar(&s.detach, "detach", false, "do not wait for its end")
	return cmd
}
