package main

import (
	"context"
	"encoding/json"
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
  I@role:web             a pillar value, by glob; J@ by regular expression
  T@role:web             a tag
  S@10.0.0.0/8           an address, or one in a network
  N@group                a nodegroup
  and or not ( )         put them together

With one of the flags for kinds the whole expression is of that kind: -G os:Debian is
G@os:Debian, and an id glob is written without any. With --fleet no master is asked: the
file has the minions, {"minions": {"web1": {"grains": {}, "pillar": {}, "tags": {}}},
"nodegroups": {}}, and with --output json the answer is {"ok", "minions", "error"}.

Exit codes:
  0  some match; with --fleet, also none
  1  none matches
  2  the expression is wrong`

// kindFlags are the flags that say of which kind an expression is.
var kindFlags = []struct {
	letter, name string
	kind         target.Kind
	help         string
}{
	{"C", "compound", target.Compound, "a compound expression (the default)"},
	{"E", "pcre", target.IDRegexp, "a regular expression on ids"},
	{"L", "list", target.IDList, "a list of ids"},
	{"G", "grain", target.Grain, "a grain and a glob"},
	{"P", "grain-pcre", target.GrainRegexp, "a grain and a regular expression"},
	{"I", "pillar", target.Pillar, "a pillar value and a glob"},
	{"J", "pillar-pcre", target.PillarRegexp, "a pillar value and a regular expression"},
	{"S", "ipcidr", target.Network, "an address or a network"},
	{"N", "nodegroup", target.Nodegroup, "the name of a nodegroup"},
	{"", "glob", target.IDGlob, "a glob on ids"},
	{"", "pillar-exact", target.PillarExact, "a pillar value that is exactly this (with --fleet)"},
}

func (c *cli) targetCommand() *cobra.Command {
	var asked targetQuestion
	cmd := &cobra.Command{
		Use:   "target EXPR...",
		Short: "Print which minions a target matches",
		Long:  targetLong,
		Example: `  brine target 'web* and G@os:Debian'
  brine target 'not T@role:db'
  brine target -G 'disk|type|ssd' --delimiter '|' --fleet fleet.json -o json`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			asked.words, asked.list = words(args)
			if asked.fleet != "" {
				return c.matchFile(asked)
			}
			expr, err := asked.compound()
			if err != nil {
				return err
			}
			return c.matchFleet(ctx, expr)
		}),
	}
	flags := cmd.Flags()
	names := make([]string, 0, len(kindFlags))
	for _, f := range kindFlags {
		flags.BoolFuncP(f.name, f.letter, f.help, func(string) error {
			asked.kind = f.kind
			return nil
		})
		names = append(names, f.name)
	}
	cmd.MarkFlagsMutuallyExclusive(names...)
	flags.StringVar(&asked.delimiter, "delimiter", ":", "what stands between the parts of a grain's or pillar value's name")
	flags.StringVar(&asked.fleet, "fleet", "", "match the minions in this JSON file instead of the master's")
	return cmd
}

// targetQuestion is what brine target was asked.
type targetQuestion struct {
	words     []string
	list      bool // the words are apart already
	kind      target.Kind
	delimiter string
	fleet     string
}

// words reads what was given: one expression, or a list: as several arguments, or as one that is JSON.
func words(args []string) (words []string, list bool) {
	if len(args) == 1 && strings.HasPrefix(args[0], `["`) && json.Unmarshal([]byte(args[0]), &words) == nil {
		return words, true
	}
	return args, len(args) > 1
}

// compound is the question as the master is asked.
func (q targetQuestion) compound() (string, error) {
	letters := map[target.Kind]string{"": "", target.Compound: "", target.IDGlob: ""}
	for _, f := range kindFlags {
		if f.letter != "" && f.kind != target.Compound {
			letters[f.kind] = f.letter + "@"
		}
	}
	letter, ok := letters[q.kind]
	switch {
	case !ok:
		return "", usage("", "the master cannot be asked for --%s; --fleet can", strings.ReplaceAll(string(q.kind), "_", "-"))
	case letter != "" && q.delimiter != ":" && q.kind.Delimited():
		letter = letter[:1] + q.delimiter + "@"
	}
	join := " "
	if q.kind == target.IDList {
		join = ","
	}
	return letter + strings.Join(q.words, join), nil
}

func (c *cli) matchFleet(ctx context.Context, expr string) error {
	minions, err := c.minions(ctx, expr)
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
		err = nobody(expr)
	}
	return err
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
	return &fleet.Problem{Message: p.Message + "\n  " + indented(syntax), Hint: p.Hint, Exit: p.Exit}
}

func indented(e *target.SyntaxError) string { return strings.ReplaceAll(e.Detail(), "\n", "\n  ") }
