package main

import (
	"context"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) revisionsCommand() *cobra.Command {
	var keep int
	var collect, dry bool
	cmd := &cobra.Command{
		Use:   "revisions APP",
		Short: "List the stored revisions of an application, or remove old ones",
		Long: `List the stored revisions of an application, the newest first.

With --gc it removes them from the store, all but the newest --keep. What a group runs, what it may go
back to, what is live on any minion, and what a running deployment needs always stays.`,
		Example: `  brine revisions shop
  brine revisions shop --gc --keep 20 --dry-run`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			if collect || dry {
				return c.collect(ctx, args[0], keep, dry)
			}
			var list []fleet.Revision
			if err := c.master.get(ctx, "/v1/revisions", url.Values{"app": {args[0]}}, &list); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(list)
			}
			if len(list) == 0 {
				c.sayf("no revision of %s is stored yet\n", args[0])
				return nil
			}
			rows := make([]text.Row, 0, len(list))
			for _, r := range list {
				commit := r.Origin.Commit[:min(12, len(r.Origin.Commit))]
				rows = append(rows, text.Row{Cells: []string{
					r.Digest.Short(), r.Origin.Ref, commit, text.Size(r.Size), text.Stamp(r.Built), r.BuiltBy, r.Origin.Author, r.Origin.Subject,
				}})
			}
			return c.print(text.Table([]string{"REVISION", "REF", "COMMIT", "SIZE", "BUILT", "BY", "AUTHOR", "SUBJECT"}, rows)...)
		}),
	}
	cmd.Flags().BoolVar(&collect, "gc", false, "remove old ones from the store")
	cmd.Flags().IntVar(&keep, "keep", 20, "with --gc: how many of the newest stay")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "with --gc: only say what would be removed")
	return cmd
}

func (c *cli) collect(ctx context.Context, app string, keep int, dry bool) error {
	var done fleet.Collected
	query := url.Values{"app": {app}, "keep": {strconv.Itoa(keep)}, "dry": {strconv.FormatBool(dry)}}
	if err := c.master.post(ctx, "/v1/revisions/collect", query, nil, &done); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(done)
	}
	verb := "removed"
	if done.Dry {
		verb = "would be removed"
	}
	for _, r := range done.Removed {
		c.sayf("%s  %s  %s\n", r.Digest.Short(), r.Name(), text.Size(r.Stored))
	}
	c.sayf("%s (%s) %s, %d kept\n", text.Count(len(done.Removed), "revision"), text.Size(done.Bytes), verb, done.Kept)
	return nil
}
