package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) drainCommand() *cobra.Command {
	undo := false
	cmd := &cobra.Command{
		Use:   "drain ID",
		Short: "Take a minion out of its pools",
		Long: `Take a minion out of all load balancers' pools that it serves in, after its connections have ended, and leave it
out of deployments: before a host is mended or goes away. --undo ends that.`,
		Example: `  brine drain web3
  brine drain web3 --undo`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			verb, did, none := "drain", "drained: out of ", "drained; it was in no pool"
			if undo {
				verb, did, none = "undrain", "takes part again: ", "takes part again; nothing is to be brought up"
			}
			var out fleet.Drained
			if err := c.master.post(ctx, "/v1/minions/"+url.PathEscape(args[0])+"/"+verb, nil, nil, &out); err != nil {
				return err
			}
			switch {
			case c.json:
				return c.printJSON(out)
			case len(out.Pools) == 0:
				return c.print(string(out.Minion) + " " + none)
			default:
				return c.print(string(out.Minion) + " " + did + strings.Join(out.Pools, ", "))
			}
		}),
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "the minion takes part again")
	return cmd
}
