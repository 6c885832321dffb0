package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

const deployLong = `Deploy a revision of an application to one of its groups.

On a terminal the plan is shown first and has to be agreed to, unless --yes; without a
terminal (CI) the deployment starts at once. Then it is followed to its end. Ctrl-C stops
the following only: the deployment goes on, and the exit code is 1.

` + exitCodes

// start is how a deployment or a rollback is started and followed.
type start struct {
	yes, detach, log bool
	lockWait         time.Duration // for a lock to be free
}

func (s *start) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	logFlag(cmd, &s.log)
	cmd.Flags().BoolVar(&s.detach, "detach", false, "print the deployment's id and do not wait for its end")
}

// lockFlags say what to do when the group is locked or frozen.
func (s *start) lockFlags(cmd *cobra.Command, req *fleet.DeployRequest) {
	cmd.Flags().DurationVar(&s.lockWait, "lock-wait", 0, "wait that long for the group to be free")
	cmd.Flags().StringVar(&req.BreakGlass, "break-glass", "", "why a freeze or a lock is passed over; it is written down")
}

func (c *cli) deployCommand() *cobra.Command {
	var req fleet.DeployRequest
	var s start
	var test bool
	cmd := &cobra.Command{
		Use:   "deploy APP GROUP",
		Short: "Deploy a revision to a group",
		Long:  deployLong,
		Example: `  brine deploy shop production --ref v42
  brine deploy shop production --yes --detach
  brine deploy shop staging -o json | jq -s 'last | .status'`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			req.App, req.Group = fleet.AppName(args[0]), fleet.GroupName(args[1])
			if test {
				return c.testDeployment(ctx, req)
			}
			if c.interactive() && !s.yes {
				if agreed, err := c.agreePlan(ctx, req); err != nil || !agreed {
					return err
				}
			}
			return c.launch(ctx, "/v1/deployments", req, s)
		}),
	}
	cmd.Flags().StringVar(&req.Ref, "ref", "", "branch, tag, commit or revision digest (default: the application's ref)")
	cmd.Flags().BoolVar(&req.Force, "force", false, "also minions that are at the revision already")
	cmd.Flags().BoolVar(&test, "test", false, "show what would change on each minion, and touch none")
	cmd.Flags().StringVar(&req.Plan, "plan", "", "id of a plan (brine plan): refuse if it would be another now")
	s.flags(cmd)
	s.lockFlags(cmd, &req)
	strategyFlags(cmd, &req)
	return cmd
}

// testDeployment shows what the minions say that they would do.
func (c *cli) testDeployment(ctx context.Context, req fleet.DeployRequest) error {
	var ticket fleet.RunTicket
	if err := c.master.post(ctx, "/v1/tests", nil, req, &ticket); err != nil {
		return err
	}
	return c.watchJob(ctx, ticket)
}

// agreePlan shows the plan and asks. Nothing to do is no question.
func (c *cli) agreePlan(ctx context.Context, req fleet.DeployRequest) (bool, error) {
	plan, err := c.plan(ctx, req)
	if err != nil {
		return false, err
	}
	for _, line := range planLines(plan, c.now()) {
		c.sayf("%s\n", c.err.paint(line))
	}
	if !changes(plan) {
		return false, nil
	}
	agreed, err := c.ask(ctx, "Deploy?")
	if err == nil && !agreed {
		c.sayf("nothing was done\n")
		return false, exit(fleet.ExitFailed)
	}
	return agreed, err
}

// launch asks the master to start a deployment, and follows it. A locked group is asked for again until it is free.
func (c *cli) launch(ctx context.Context, path string, req fleet.DeployRequest, s start) error {
	var d fleet.Deployment
	told := false
	for limit := c.now().Add(s.lockWait); ; {
		err := c.master.post(ctx, path, nil, req, &d)
		var problem *fleet.Problem
		if err == nil {
			return c.begun(ctx, d, s)
		}
		if !errors.As(err, &problem) || problem.Exit != fleet.ExitLocked || !c.now().Before(limit) {
			return err
		}
		if !told {
			c.sayf("%s; waiting\n", problem.Message)
			told = true
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lockPoll is how often a locked group is asked for.
const lockPoll = time.Second

// begun tells of a deployment that was started, or told something, and follows it.
func (c *cli) begun(ctx context.Context, d fleet.Deployment, s start) error {
	switch {
	case s.detach && c.json:
		return c.printJSON(d)
	case s.detach:
		return c.print(string(d.ID))
	}
	c.sayf("deployment %s of %s to %s\n", d.ID, d.App, d.Group)
	return c.follow(ctx, d, s.log)
}

func (c *cli) deployment(ctx context.Context, id fleet.DeploymentID) (d fleet.Deployment, err error) {
	err = c.master.get(ctx, "/v1/deployments/"+url.PathEscape(string(id)), nil, &d)
	return d, err
}
