package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/callargs"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/stateoutput"
)

const runLong = `Run a function on all minions of a target and print what they return, as they return.

ARG is given by place, NAME=VALUE by name. A value that reads as a number, bool, null, or a list or
map in brackets, in JSON or YAML, is one; everything else is text, and so is what cmd.* functions get
by place. A command that itself looks like NAME=VALUE is given as cmd='NAME=VALUE ...'.

What applies states (state.apply, state.highstate, ...) is shown state by state, with a summary.

A minion that is not connected gets the job if it is back before the timeout. brine jobs tells what
became of a job, and stops it. A return may be large: cmd.run gives the last 8 MiB of a command's
output, other functions up to 60 MiB.

Exit codes:
  0  all minions succeeded
  1  all failed, or none matched
  2  usage
  3  some failed, or did not return`

func (c *cli) runCommand() *cobra.Command {
	timeout, async, batch, failhard := 30*time.Second, false, "", false
	cmd := &cobra.Command{
		Use:   "run TARGET FUNCTION [ARG]...",
		Short: "Run a function on minions",
		Long:  runLong,
		Example: `  brine run '*' test.ping
  brine run 'web*' cmd.run uptime
  brine run 'G@os:Debian and not web3' cmd.run 'ls -l' cwd=/srv --timeout 5s
  brine run web1 grains.items -o json
  brine run '*' cmd.run 'apt-get update' --timeout 10m --async
  brine run 'web*' state.apply nginx test=True
  brine run 'T@role:web' state.highstate --batch 25% --failhard --state-output changes`,
		Args: positional,
	}
	cmd.RunE = c.connected(func(ctx context.Context, args []string) error {
		if timeout <= 0 {
			return usage("", "--timeout is a duration above zero")
		}
		if err := stateoutput.Mode(c.stateOutput).Valid(); err != nil {
			return usage("", "--state-output: %s", err)
		}
		call, err := json.Marshal(callOf(args[1], args[2:]))
		if err != nil {
			return fmt.Errorf("encode arguments: %w", err)
		}
		req := fleet.RunRequest{Target: args[0], Function: args[1], Args: call, Timeout: fleet.Duration(timeout)}
		if !cmd.Flags().Changed("timeout") && strings.HasPrefix(args[1], "state.") {
			req.Timeout = fleet.Duration(stateTimeout)
		}
		if batch != "" {
			return c.runBatches(ctx, req, batch, failhard)
		}
		return c.runJob(ctx, req, async)
	})
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait for returns; a job does not start after it (state.*: 10m)")
	cmd.Flags().StringVar(&batch, "batch", "", "so many minions at a time, a number or a share such as 25%")
	cmd.Flags().BoolVar(&failhard, "failhard", false, "with --batch: no further minions when one has failed")
	cmd.Flags().StringVar(&c.stateOutput, "state-output", string(stateoutput.Full), "how much is told of each state: full, terse, mixed or changes")
	cmd.Flags().BoolVar(&async, "async", false, "print the job's id and do not wait: see brine jobs watch")
	cmd.MarkFlagsMutuallyExclusive("batch", "async")
	return cmd
}

// stateTimeout is how long states may take unless a person says otherwise.
const stateTimeout = 10 * time.Minute

// keyword is what Salt takes for an argument by name.
var keyword = regexp.MustCompile(`^([A-Za-z_][\w.-]*)=([^=].*|)$`)

// callOf sorts arguments as Salt does.
func callOf(function string, args []string) fleet.Call {
	var call fleet.Call
	for _, arg := range args {
		switch m := keyword.FindStringSubmatch(strings.ReplaceAll(arg, "\n", " ")); {
		case m != nil:
			if call.Kwargs == nil {
				call.Kwargs = map[string]any{}
			}
			call.Kwargs[m[1]] = valueOf(arg[len(m[1])+1:])
		case strings.HasPrefix(function, "cmd."):
			call.Args = append(call.Args, arg) // a command line is text: true and 5 are programs here
		default:
			call.Args = append(call.Args, valueOf(arg))
		}
	}
	return call
}

// valueOf is the JSON value that arg writes, or what salt takes it for: True, {a: 1}; else arg itself.
func valueOf(arg string) any {
	switch {
	case strings.HasPrefix(arg, `"`):
		return arg
	case json.Valid([]byte(arg)):
		return json.RawMessage(arg)
	}
	return callargs.Value(arg)
}

// tally is how a job went; with --output json it is the last line.
type tally struct {
	Job     fleet.JobID      `json:"job"`
	OK      []fleet.MinionID `json:"ok"`
	Failed  []fleet.MinionID `json:"failed"`
	Missing []fleet.MinionID `json:"missing"`
}

func (t *tally) exit() error {
	bad := len(t.Failed) + len(t.Missing)
	switch {
	case bad == 0:
		return nil
	case len(t.OK) == 0:
		return exit(fleet.ExitFailed)
	default:
		return exit(fleet.ExitPartly)
	}
}

func (c *cli) publish(ctx context.Context, req fleet.RunRequest) (ticket fleet.RunTicket, err error) {
	if err := c.master.post(ctx, "/v1/jobs", nil, req, &ticket); err != nil {
		return ticket, pointAt(req.Target, err)
	}
	if len(ticket.Minions) == 0 {
		return ticket, nobody(req.Target)
	}
	for _, away := range ticket.Away {
		c.sayf("%s: %s\n", away.Minion, notConnected(away))
	}
	return ticket, nil
}

func (c *cli) runJob(ctx context.Context, req fleet.RunRequest, async bool) error {
	ticket, err := c.publish(ctx, req)
	if err != nil {
		return err
	}
	if async {
		return c.published(ticket)
	}
	return c.watchJob(ctx, ticket)
}

// published tells of a job that nobody waits for.
func (c *cli) published(ticket fleet.RunTicket) error {
	if c.json {
		return c.printJSON(ticket)
	}
	c.sayf("published to %s; to see what they return: brine jobs watch %s\n", text.Count(len(ticket.Minions), "minion"), ticket.Job)
	return c.print(string(ticket.Job))
}

// watchJob prints a job's returns and tells how it went.
func (c *cli) watchJob(ctx context.Context, ticket fleet.RunTicket) error {
	t, err := c.gather(ctx, ticket)
	if err != nil {
		return err
	}
	return c.close(ticket, t)
}

// gather prints a job's returns.
func (c *cli) gather(ctx context.Context, ticket fleet.RunTicket) (tally, error) {
	t := tally{Job: ticket.Job, OK: []fleet.MinionID{}, Failed: []fleet.MinionID{}, Missing: slices.Clone(ticket.Minions)}
	var broken error
	err := c.master.returns(ctx, ticket, func(r fleet.Return) {
		t.Missing = slices.DeleteFunc(t.Missing, func(id fleet.MinionID) bool { return id == r.Minion })
		if r.Outcome == fleet.Succeeded {
			t.OK = append(t.OK, r.Minion)
		} else {
			t.Failed = append(t.Failed, r.Minion)
		}
		broken = errors.Join(broken, c.printReturn(r))
	}, func(err error) {
		c.sayf("brine: lost the master (%s); waiting for it to be back\n", err)
	})
	switch {
	case errors.Is(err, context.Canceled):
		c.sayf("interrupted; job %[1]s goes on: brine jobs watch %[1]s, brine jobs kill %[1]s\n", ticket.Job)
		return t, exit(fleet.ExitFailed)
	default:
		return t, errors.Join(err, broken)
	}
}

func (c *cli) printReturn(r fleet.Return) error {
	if c.json {
		return c.printJSONLine(r)
	}
	head := c.out.good(string(r.Minion) + ":")
	if r.Outcome != fleet.Succeeded {
		head = c.out.bad(fmt.Sprintf("%s: %s: %s", r.Minion, r.Outcome, text.Line(r.Reason)))
	}
	if report, ok := stateReport(r.Value); ok {
		return c.printStates(r, report)
	}
	lines := []string{head}
	for _, line := range text.Value(r.Value) {
		lines = append(lines, "    "+line)
	}
	return c.print(lines...)
}

// close tells who is missing, and how it went.
func (c *cli) close(ticket fleet.RunTicket, t tally) error {
	if c.json {
		if err := c.printJSONLine(t); err != nil {
			return err
		}
		return t.exit()
	}
	for _, id := range t.Missing {
		why := "did not return in time"
		if i := slices.IndexFunc(ticket.Away, func(a fleet.AwayPeer) bool { return a.Minion == id }); i >= 0 {
			why += " (" + notConnected(ticket.Away[i]) + ")"
		}
		if err := c.print(c.out.bad(string(id) + ": " + why)); err != nil {
			return err
		}
	}
	if len(t.Failed)+len(t.Missing) > 0 && len(ticket.Minions) > 1 {
		c.sayf("of %d minions %d succeeded, %d failed, %d did not return\n", len(ticket.Minions), len(t.OK), len(t.Failed), len(t.Missing))
	}
	return t.exit()
}

func notConnected(a fleet.AwayPeer) string {
	if a.Since.IsZero() {
		return "never connected"
	}
	return "not connected since " + text.Stamp(a.Since)
}
