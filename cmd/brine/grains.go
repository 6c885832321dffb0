package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/callargs"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) grainsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grains [TARGET] [GRAIN]",
		Short: "Show the facts that minions report",
		Long: `Show the grains of the minions of a target, as the master has them; by default of all. With GRAIN only
that one; a:b goes down into maps. brine run TARGET grains.items asks the minions themselves.

Exit codes:
  0  done
  1  no minion matches, or none has the grain
  2  usage`,
		Example: `  brine grains web1
  brine grains '*' osrelease
  brine grains 'T@role:web' ipv4 -o json`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			expr, name := "*", ""
			if len(args) > 0 {
				expr = args[0]
			}
			if len(args) > 1 {
				name = args[1]
			}
			minions, err := c.minions(ctx, expr)
			switch {
			case err != nil:
				return err
			case len(minions) == 0:
				return nobody(expr)
			case name != "":
				return c.oneGrain(minions, name)
			default:
				return c.allGrains(minions)
			}
		}),
	}
	cmd.AddCommand(c.grainsSetCommand())
	return cmd
}

func (c *cli) grainsSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set TARGET NAME=VALUE...",
		Short: "Set facts on minions",
		Long: `Set grains on the minions of a target. They stay until brine run TARGET grains.delkey NAME, and win over those
that are found or configured. A value is read as YAML; a:b as a name goes down into maps.

Exit codes:
  0  all minions have it
  1  all failed, or none matched
  2  usage
  3  some failed, or did not return`,
		Example: `  brine grains set 'web*' rack=a7
  brine grains set web1 'roles=[web, cache]' owner:team=shop`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			byPlace, byName := callargs.Parse(args[1:])
			if len(byPlace) > 0 || byName.Len() == 0 {
				return usage("brine grains set web1 rack=a7", "each grain is given as NAME=VALUE")
			}
			call, err := json.Marshal(fleet.Call{Kwargs: map[string]any{"grains": byName}})
			if err != nil {
				return fmt.Errorf("encode grains: %w", err)
			}
			req := fleet.RunRequest{Target: args[0], Function: "grains.setvals", Args: call, Timeout: fleet.Duration(30 * time.Second)}
			return c.runJob(ctx, req, false)
		}),
	}
}

func (c *cli) allGrains(minions []fleet.Minion) error {
	if c.json {
		all := map[fleet.MinionID]fleet.Grains{}
		for _, m := range minions {
			all[m.ID] = m.Grains
		}
		return c.printJSON(all)
	}
	for _, m := range minions {
		lines := []string{c.out.strong(string(m.ID) + ":")}
		for _, line := range text.Nested(m.Grains) {
			lines = append(lines, "  "+line)
		}
		if err := c.print(lines...); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) oneGrain(minions []fleet.Minion, name string) error {
	values := map[fleet.MinionID]any{}
	var lines []string
	for _, m := range minions {
		value, ok := lookup(map[string]any(m.Grains), name)
		if !ok {
			continue
		}
		values[m.ID] = value
		lines = append(lines, string(m.ID)+": "+strings.Join(text.Nested(value), ", "))
	}
	switch {
	case len(values) == 0:
		return failure("brine grains TARGET lists what there is", "no minion has a grain %q", name)
	case c.json:
		return c.printJSON(values)
	default:
		return c.print(lines...)
	}
}

// lookup goes down into maps at each colon; a key that has colons itself is found too.
func lookup(in any, name string) (any, bool) {
	node, ok := in.(map[string]any)
	if !ok {
		return nil, false
	}
	if value, ok := node[name]; ok {
		return value, true
	}
	key, rest, ok := strings.Cut(name, ":")
	if !ok {
		return nil, false
	}
	return lookup(node[key], rest)
}
