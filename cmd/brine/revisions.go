package main

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) revisionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "revisions APP",
		Short:             "List the stored revisions of an application, the newest first",
		Example:           `  brine revisions shop`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
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
}
