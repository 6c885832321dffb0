package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// acceptance is which keys to accept.
type acceptance struct {
	fingerprint string
	all, yes    bool
}

func (c *cli) keysAcceptCommand() *cobra.Command {
	var a acceptance
	cmd := &cobra.Command{
		Use:   "accept [ID]",
		Short: "Accept a pending key",
		Long: `Accept the pending key of a minion, or of all with --all. The key that is shown is the one that is accepted,
even when the minion's id gets another one meanwhile. On a terminal it asks first, unless --yes or --fingerprint.`,
		Example: `  brine keys accept web1
  brine keys accept web1 --fingerprint SHA256:x1...
  brine keys accept --all --yes`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			if a.all == (len(args) == 1) || a.all && a.fingerprint != "" {
				return usage("usage: brine keys accept ID [--fingerprint F], or brine keys accept --all", "keys accept takes either an ID or --all")
			}
			if a.fingerprint != "" {
				return c.change(ctx, "accept", fleet.MinionID(args[0]), fleet.Fingerprint(a.fingerprint))
			}
			list, err := c.chosen(ctx, args)
			if err != nil {
				return err
			}
			return c.accept(ctx, list, a.yes)
		}),
	}
	cmd.Flags().StringVar(&a.fingerprint, "fingerprint", "", "accept only the key with this fingerprint")
	cmd.Flags().BoolVar(&a.all, "all", false, "all pending keys")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
	return cmd
}

// chosen are the pending keys of the minion that args names, or all.
func (c *cli) chosen(ctx context.Context, args []string) ([]fleet.MinionKey, error) {
	list, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	var pending []fleet.MinionKey
	for _, k := range list {
		if k.State == fleet.KeyPending && (len(args) == 0 || string(k.ID) == args[0]) {
			pending = append(pending, k)
		}
	}
	if len(args) == 0 {
		return pending, nil
	}
	i := slices.IndexFunc(list, func(k fleet.MinionKey) bool { return string(k.ID) == args[0] })
	switch {
	case len(pending) == 1:
		return pending, nil
	case len(pending) > 1:
		return nil, failure("brine keys list shows them; choose with --fingerprint", "minion %s has %d pending keys", args[0], len(pending))
	case i >= 0 && list[i].State == fleet.KeyAccepted:
		return nil, nil
	case i >= 0:
		return nil, failure("brine keys list shows all", "the key of minion %s is %s, not pending", args[0], list[i].State)
	default:
		return nil, failure("it enrols when brine-minion runs there; brine keys list shows who has", "no key of minion %q", args[0])
	}
}

func (c *cli) accept(ctx context.Context, list []fleet.MinionKey, yes bool) error {
	if len(list) == 0 {
		c.sayf("nothing to accept: no key is pending\n")
		return nil
	}
	if c.interactive() && !yes {
		for _, k := range list {
			c.sayf("%s  %s  from %s\n", k.ID, k.Fingerprint, k.From)
		}
		agreed, err := c.ask(ctx, "Accept?")
		if err != nil {
			return err
		}
		if !agreed {
			c.sayf("nothing was done\n")
			return exit(fleet.ExitFailed)
		}
	}
	for _, k := range list {
		if err := c.change(ctx, "accept", k.ID, k.Fingerprint); err != nil {
			return err
		}
	}
	return nil
}
