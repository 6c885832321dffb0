package main

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) stopCommand() *cobra.Command {
	var req fleet.StopRequest
	var s start
	cmd := &cobra.Command{
		Use:   "stop DEPLOYMENT",
		Short: "Stop a deployment that runs",
		Long: `Stop a deployment: no further batch begins. The batch that runs is finished, unless --now:
then its jobs are killed, and each minion goes back to the release that it had.

What was done stays as it is, unless --revert: then the revision before is brought back.
The deployment is followed to its end, unless --detach.

` + exitCodes,
		Example: `  brine stop 20261121-101500-4f2a1c9e --reason "wrong branch"
  brine stop 20261121-101500-4f2a1c9e --now --revert`,
		Args:              positional,
		ValidArgsFunction: c.completeDeployment,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			return c.tell(ctx, args[0], "stop", req, s)
		}),
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the others")
	cmd.Flags().BoolVar(&req.Now, "now", false, "kill the jobs that run")
	cmd.Flags().BoolVar(&req.Revert, "revert", false, "bring the revision before back")
	cmd.Flags().BoolVar(&s.detach, "detach", false, "do not wait for its end")
	return cmd
}

func (c *cli) approveCommand() *cobra.Command {
	return c.answerCommand(true, "approve DEPLOYMENT", "Let a deployment go on after its canary",
		`Say yes to a deployment that waits for an approval: its canary is fine, the others may follow.
It is followed to its end, unless --detach.`)
}

func (c *cli) rejectCommand() *cobra.Command {
	return c.answerCommand(false, "reject DEPLOYMENT", "End a deployment at its canary",
		`Say no to a deployment that waits for an approval, or watches its canary: it has failed, and the
revision before is brought back as its strategy says. It is followed to its end, unless --detach.`)
}

func (c *cli) answerCommand(yes bool, use, short, long string) *cobra.Command {
	req := fleet.AnswerRequest{Approved: yes}
	var s start
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long + "\n\n" + exitCodes,
		Args: positional, ValidArgsFunction: c.completeDeployment,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			return c.tell(ctx, args[0], "answer", req, s)
		}),
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the others")
	cmd.Flags().BoolVar(&s.detach, "detach", false, "do not wait for its end")
	return cmd
}

// tell says something to a deployment, and follows it.
func (c *cli) tell(ctx context.Context, id, verb string, body any, s start) error {
	var d fleet.Deployment
	if err := c.master.post(ctx, "/v1/deployments/"+url.PathEscape(id)+"/"+verb, nil, body, &d); err != nil {
		return err
	}
	return c.begun(ctx, d, s)
}

func (c *cli) retryCommand() *cobra.Command {
	var req fleet.DeployRequest
	var s start
	cmd := &cobra.Command{
		Use:   "retry DEPLOYMENT",
		Short: "Deploy once more to the minions that failed or were missed",
		Long: `Bring the revision of a deployment that has ended to those of its minions that failed, were not
connected, or were never reached. Nobody else is touched.

` + exitCodes,
		Example:           `  brine retry 20261121-101500-4f2a1c9e`,
		Args:              positional,
		ValidArgsFunction: c.completeDeployment,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			before, err := c.deployment(ctx, fleet.DeploymentID(args[0]))
			if err != nil {
				return err
			}
			req.App, req.Group, req.Retry = before.App, before.Group, before.ID
			return c.launch(ctx, "/v1/deployments", req, s)
		}),
	}
	cmd.Flags().BoolVar(&req.Force, "force", false, "also minions that are at the revision already")
	s.flags(cmd)
	s.lockFlags(cmd, &req)
	strategyFlags(cmd, &req)
	return cmd
}
