package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) pillarCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pillar MINION [KEY]",
		Short: "Show the data that the master gives to a minion",
		Long: `Show the pillar of a minion as the master compiles it now, secrets and all. With KEY only that value; a:b goes down
into maps and lists. What is wrong with the files is told with file, line and column; the minion gets no pillar until it
is right.

Exit codes:
  0  done
  1  it cannot be compiled, there is no such minion, or no such key
  2  usage`,
		Example: `  brine pillar web1
  brine pillar web1 users:zed:uid
  brine pillar web1 -o json`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			var report fleet.PillarReport
			if err := c.master.get(ctx, "/v1/minions/"+url.PathEscape(args[0])+"/pillar", nil, &report); err != nil {
				return err
			}
			if len(args) > 1 {
				if err := onlyKey(&report, args[1]); err != nil {
					return err
				}
			}
			return c.printPillar(report)
		}),
	}
}

// onlyKey leaves one value in a report.
func onlyKey(report *fleet.PillarReport, key string) error {
	whole, err := data.FromJSON(report.Pillar)
	if err != nil {
		return failure("", "pillar of %s: %s", report.Minion, err)
	}
	value, ok := data.Traverse(whole, key, "")
	if !ok && len(report.Errors) == 0 {
		return failure("brine pillar "+string(report.Minion)+" shows what there is", "%s has no pillar %q", report.Minion, key)
	}
	report.Pillar, err = json.Marshal(value)
	return err
}

func (c *cli) printPillar(report fleet.PillarReport) error {
	var err error
	if c.json {
		err = c.printJSON(report)
	} else {
		err = c.print(text.Value(bytes.TrimSpace(report.Pillar))...)
	}
	if err != nil || len(report.Errors) == 0 {
		return err
	}
	if !c.json {
		for _, e := range report.Errors {
			c.sayf("%s\n", strings.TrimSpace(e.Text))
		}
	}
	return failure("the minion gets no pillar until it is right", "the pillar of %s cannot be compiled", report.Minion)
}
