package main

import (
	"context"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) lockCommand() *cobra.Command {
	var req fleet.LockRequest
	var list bool
	cmd := &cobra.Command{
		Use:   "lock [APP] [GROUP]",
		Short: "Keep deployments off a group, or off an application",
		Long: `Keep everybody else's deployments off a group, or off all groups of an application, until it is
unlocked or its lease is over. Newcomers are still brought up.

Exit codes: 0 locked, 5 somebody else has locked it.`,
		Example: `  brine lock shop production --reason "database migration" --lease 2h
  brine lock --list`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			if list {
				return c.listLocks(ctx)
			}
			if len(args) == 0 || req.Reason == "" {
				return usage("usage: brine lock APP [GROUP] --reason WHY, or brine lock --list", "lock: an application and --reason are wanted")
			}
			req.App = fleet.AppName(args[0])
			if len(args) > 1 {
				req.Group = fleet.GroupName(args[1])
			}
			var lock fleet.Lock
			if err := c.master.post(ctx, "/v1/locks", nil, req, &lock); err != nil {
				return err
			}
			return c.showLock(lock, "locked")
		}),
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for the others")
	cmd.Flags().TextVar(&req.Lease, "lease", fleet.Duration(0), "how long at most (0s: until it is unlocked)")
	cmd.Flags().BoolVar(&list, "list", false, "list the locks")
	return cmd
}

func (c *cli) unlockCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:               "unlock APP [GROUP]",
		Short:             "Take a lock away",
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			query := url.Values{"app": {args[0]}, "force": {strconv.FormatBool(force)}}
			if len(args) > 1 {
				query.Set("group", args[1])
			}
			var lock fleet.Lock
			if err := c.master.post(ctx, "/v1/unlock", query, nil, &lock); err != nil {
				return err
			}
			return c.showLock(lock, "unlocked")
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also somebody else's")
	return cmd
}

func (c *cli) showLock(lock fleet.Lock, done string) error {
	if c.json {
		return c.printJSON(lock)
	}
	c.sayf("%s %s\n", lockName(lock), done)
	return nil
}

func lockName(l fleet.Lock) string {
	if l.Group == "" {
		return string(l.App) + " (all groups)"
	}
	return string(l.App) + " " + string(l.Group)
}

func (c *cli) listLocks(ctx context.Context) error {
	var list []fleet.Lock
	if err := c.master.get(ctx, "/v1/locks", nil, &list); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(list)
	}
	if len(list) == 0 {
		c.sayf("nothing is locked\n")
		return nil
	}
	rows := make([]text.Row, 0, len(list))
	for _, l := range list {
		until := ""
		if !l.Until.IsZero() {
			until = text.Stamp(l.Until)
		}
		rows = append(rows, text.Row{Cells: []string{string(l.App), string(l.Group), l.Owner, text.Stamp(l.Since), until, l.Reason}})
	}
	return c.print(text.Table([]string{"APP", "GROUP", "OWNER", "SINCE", "UNTIL", "REASON"}, rows)...)
}
