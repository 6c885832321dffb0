package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff APP FROM TO",
		Short: "Show what lies between two revisions",
		Long: `Show the commits and the files between two revisions of an application: digests, refs or commits.
The source has to keep a history, as git does.`,
		Example:           `  brine diff shop v41 v42`,
		Args:              positional,
		ValidArgsFunction: c.completeGroup,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			var d fleet.Diff
			query := url.Values{"app": {args[0]}, "from": {args[1]}, "to": {args[2]}}
			if err := c.master.get(ctx, "/v1/diff", query, &d); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(d)
			}
			return c.print(c.diffLines(d, len(d.Files))...)
		}),
	}
}

// diffLines is a difference for people, with at most so many files.
func (c *cli) diffLines(d fleet.Diff, files int) []string {
	name := func(o fleet.Origin) string { return fleet.Revision{Origin: o}.Name() }
	lines := []string{fmt.Sprintf("%s -> %s: %s, %s", name(d.From), name(d.To), text.Count(len(d.Added)+len(d.Removed), "commit"), text.Count(len(d.Files), "file"))}
	commit := func(sign string, o fleet.Origin) {
		lines = append(lines, fmt.Sprintf("  %s %s %s, %s, %s", sign, o.Commit[:min(8, len(o.Commit))], text.Line(o.Subject), text.Line(o.Author), text.Ago(o.Time, c.now())))
	}
	for _, o := range d.Added {
		commit("+", o)
	}
	for _, o := range d.Removed {
		commit("-", o)
	}
	for i, file := range d.Files {
		if i == files {
			lines = append(lines, fmt.Sprintf("    and %d more", len(d.Files)-i))
			break
		}
		lines = append(lines, "    "+text.Line(file))
	}
	return lines
}
