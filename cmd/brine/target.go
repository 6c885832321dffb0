package main

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
)

const targetLong = `Print the ids of the accepted minions that a target expression matches, one a line.

  web*                   ids by glob
  L@web1,web2            ids by list
  E@web[0-9]+            ids by regular expression
  G@os:Debian            a grain, by glob; a:b goes down into maps
  P@os:(Debian|Ubuntu)   a grain, by regular expression
  T@role:web             a tag
  N@group                a nodegroup
  and or not ( )         put them together

Exit codes:
  0  some match
  1  none matches
  2  the expression is wrong`

func (c *cli) targetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "target EXPR",
		Short: "Print which minions a target matches",
		Long:  targetLong,
		Example: `  brine target 'web* and G@os:Debian'
  brine target 'not T@role:db'`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			minions, err := c.minions(ctx, args[0])
			if err != nil {
				return err
			}
			ids := make([]string, len(minions))
			for i, m := range minions {
				ids[i] = string(m.ID)
			}
			if c.json {
				err = c.printJSON(ids)
			} else {
				err = c.print(ids...)
			}
			if err == nil && len(ids) == 0 {
				err = nobody(args[0])
			}
			return err
		}),
	}
}

// minions are the accepted ones that an expression matches.
func (c *cli) minions(ctx context.Context, expr string) ([]fleet.Minion, error) {
	var list []fleet.Minion
	if err := c.master.get(ctx, "/v1/minions", url.Values{"target": {expr}}, &list); err != nil {
		return nil, pointAt(expr, err)
	}
	return list, nil
}

func nobody(expr string) error {
	return failure("brine target '*' lists the accepted minions", "target %q matches no minion", expr)
}

// pointAt adds the place to what the master says about a malformed target.
func pointAt(expr string, err error) error {
	var p *fleet.Problem
	var syntax *target.SyntaxError
	_, parsed := target.Parse(expr)
	if !errors.As(err, &p) || p.Exit != fleet.ExitUsage || !errors.As(parsed, &syntax) || !strings.Contains(p.Message, "column "+strconv.Itoa(syntax.Column)) {
		return err
	}
	detail := strings.ReplaceAll(syntax.Detail(), "\n", "\n  ")
	return &fleet.Problem{Message: p.Message + "\n  " + detail, Hint: p.Hint, Exit: p.Exit}
}
