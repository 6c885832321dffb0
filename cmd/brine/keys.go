package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Decide which minions belong to the fleet",
		Long: `Decide which minions belong to the fleet. A new minion's key is pending until it is accepted here, or the minion
shows a token. Compare its fingerprint with the one that brine-minion logs on the host.`,
		Args: family,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.keysListCommand(), c.keysAcceptCommand(), c.keysFingerprintCommand(), c.keysTokenCommand(),
		c.keysVerbCommand("reject", "Refuse a pending key"),
		c.keysVerbCommand("revoke", "Take an accepted minion out of the fleet and cut its connection"))
	return cmd
}

func (c *cli) keysListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys of minions",
		Args:  positional,
		RunE: c.connected(func(ctx context.Context, _ []string) error {
			list, err := c.keys(ctx)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(list)
			}
			if len(list) == 0 {
				c.sayf("no minion has enrolled yet\n")
				return nil
			}
			return c.printKeys(list)
		}),
	}
}

func (c *cli) keys(ctx context.Context) (list []fleet.MinionKey, err error) {
	err = c.master.get(ctx, "/v1/keys", nil, &list)
	return list, err
}

func (c *cli) printKeys(list []fleet.MinionKey) error {
	rows := make([]text.Row, 0, len(list))
	for _, k := range list {
		row := text.Row{Cells: []string{string(k.ID), string(k.State), string(k.Fingerprint), text.Stamp(k.Since), k.By, k.From}}
		switch k.State {
		case fleet.KeyPending:
			row.Paint = c.out.busy
		case fleet.KeyRejected, fleet.KeyRevoked:
			row.Paint = c.out.dim
		}
		rows = append(rows, row)
	}
	return c.print(text.Table([]string{"ID", "STATE", "FINGERPRINT", "SINCE", "BY", "FROM"}, rows)...)
}

func (c *cli) keysVerbCommand(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Example: "  brine keys " + verb + " web9",
		Args:    positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			return c.change(ctx, verb, fleet.MinionID(args[0]), "")
		}),
	}
}

// change puts a key into another state, and prints it.
func (c *cli) change(ctx context.Context, verb string, id fleet.MinionID, fingerprint fleet.Fingerprint) error {
	var query url.Values
	if fingerprint != "" {
		query = url.Values{"fingerprint": {string(fingerprint)}}
	}
	var key fleet.MinionKey
	if err := c.master.post(ctx, "/v1/keys/"+url.PathEscape(string(id))+"/"+verb, query, nil, &key); err != nil {
		return err
	}
	if c.json {
		return c.printJSONLine(key)
	}
	return c.print(fmt.Sprintf("%s %s  %s", key.ID, key.State, key.Fingerprint))
}

func (c *cli) keysFingerprintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint [ID]",
		Short: "Print the fingerprint of a minion's key, or the master's key for minion.yml",
		Example: `  brine keys fingerprint >> minion.yml
  brine keys fingerprint web1`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			if len(args) == 1 {
				return c.fingerprintOf(ctx, fleet.MinionID(args[0]))
			}
			var info fleet.MasterInfo
			if err := c.master.get(ctx, "/v1/master", nil, &info); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(info)
			}
			return c.print("# the master's fingerprint is "+string(info.Fingerprint), fmt.Sprintf("master_key: %q", info.MasterKey))
		}),
	}
}

func (c *cli) fingerprintOf(ctx context.Context, id fleet.MinionID) error {
	list, err := c.keys(ctx)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(k fleet.MinionKey) bool { return k.ID != id })
	switch {
	case len(list) == 0:
		return failure("brine keys list shows all", "no key of minion %q", id)
	case c.json:
		return c.printJSON(list)
	}
	for _, k := range list {
		if err := c.print(fmt.Sprintf("%s  %s", k.Fingerprint, k.State)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) keysTokenCommand() *cobra.Command {
	ttl, uses := time.Hour, 1
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token that lets minions enrol without an operator",
		Long: `Make a token that lets minions enrol without an operator. It is shown once. Give it to a minion as token: in
minion.yml, as BRINE_TOKEN, or in the file of token_file:.`,
		Example: `  brine keys token --ttl 1h --uses 10`,
		Args:    positional,
		RunE: c.connected(func(ctx context.Context, _ []string) error {
			if ttl <= 0 || uses < 1 {
				return usage("", "--ttl and --uses are above zero")
			}
			var token fleet.Token
			if err := c.master.post(ctx, "/v1/tokens", nil, fleet.TokenRequest{TTL: fleet.Duration(ttl), Uses: uses}, &token); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(token)
			}
			c.sayf("enrols %s until %s\n", text.Count(token.Uses, "minion"), text.Stamp(token.Expires))
			return c.print(token.Text)
		}),
	}
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "how long it is valid")
	cmd.Flags().IntVar(&uses, "uses", uses, "how many minions may enrol with it")
	return cmd
}
