package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
)

func (c *cli) docCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doc [FUNCTION]...",
		Short: "Show what functions and states do",
		Long: `Show what a function of brine run does, its arguments and an example; of a whole family (file), or of what a glob
matches (file.get_*). Without any, all functions in a line each. What only minions know, such as state.apply and states
like file.managed, is asked of one that is connected.

Exit codes:
  0  done
  1  there is no such function
  2  usage`,
		Example: `  brine doc cmd.run
  brine doc pillar
  brine doc file.managed`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			docs := localDocs(args)
			if docs.Len() == 0 {
				var err error
				if docs, err = c.remoteDocs(ctx, args); err != nil {
					return err
				}
			}
			return c.printDocs(docs, len(args) == 0)
		}),
	}
}

// localDocs are those of the functions that every minion has.
func localDocs(names []string) *data.Map {
	table, docs := modules.All(), &data.Map{}
	for _, name := range modules.Names(table, names) {
		docs.Set(name, table[name].Doc)
	}
	return docs
}

// remoteDocs asks a connected minion.
func (c *cli) remoteDocs(ctx context.Context, names []string) (*data.Map, error) {
	unknown := failure("brine doc lists all functions", "there is no function %s", strings.Join(names, ", "))
	minions, err := c.minions(ctx, "*")
	if err != nil {
		return nil, unknown
	}
	for _, m := range minions {
		if !m.Connected {
			continue
		}
		for _, function := range []string{"sys.doc", "sys.state_doc"} {
			docs, err := c.askMinion(ctx, m.ID, function, names)
			if err != nil || docs.Len() > 0 {
				return docs, err
			}
		}
		break
	}
	return nil, unknown
}

// askMinion runs a function on one minion and gives the mapping that it returns.
func (c *cli) askMinion(ctx context.Context, id fleet.MinionID, function string, names []string) (*data.Map, error) {
	call := fleet.Call{}
	for _, name := range names {
		call.Args = append(call.Args, name)
	}
	args, err := json.Marshal(call)
	if err != nil {
		return nil, fmt.Errorf("encode arguments: %w", err)
	}
	var ticket fleet.RunTicket
	req := fleet.RunRequest{Target: "L@" + string(id), Function: function, Args: args, Timeout: fleet.Duration(10 * time.Second)}
	if err := c.master.post(ctx, "/v1/jobs", nil, req, &ticket); err != nil {
		return nil, err
	}
	docs := &data.Map{}
	err = c.master.returns(ctx, ticket, func(r fleet.Return) {
		if r.Outcome == fleet.Succeeded {
			_ = docs.UnmarshalJSON(r.Value) // what is no mapping documents nothing
		}
	}, func(error) {})
	return docs, err
}

func (c *cli) printDocs(docs *data.Map, short bool) error {
	if c.json {
		return c.printJSON(docs)
	}
	for name, doc := range docs.All() {
		first, rest, _ := strings.Cut(modules.Text(doc), "\n")
		if short {
			if err := c.print(fmt.Sprintf("%-28s %s", modules.Text(name), first)); err != nil {
				return err
			}
			continue
		}
		lines := []string{c.out.strong(modules.Text(name)), "    " + first}
		for line := range strings.SplitSeq(rest, "\n") {
			if line != "" {
				lines = append(lines, "    "+line)
			}
		}
		if err := c.print(append(lines, "")...); err != nil {
			return err
		}
	}
	return nil
}
