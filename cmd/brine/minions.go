package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) minionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "minions [TARGET]",
		Short: "Show which minions are connected, and how well",
		Long: `Show the minions of a target, by default all: whether each is connected and since when, when it was last heard of,
the round trip of a message, how far its clock is ahead of the master's, and how many of its returns wait for the master.
They measure when they connect and every few minutes.

A minion keeps its returns until the master has them. When there are too many for its disk's share, progress is dropped
first; what a job came to is always kept.

Exit codes:
  0  done
  1  no minion matches
  2  usage`,
		Example: `  brine minions
  brine minions 'T@role:web' -o json`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			expr := "*"
			if len(args) > 0 {
				expr = args[0]
			}
			minions, err := c.minions(ctx, expr)
			switch {
			case err != nil:
				return err
			case c.json:
				err = c.printJSON(presences(minions))
			case len(minions) > 0:
				err = c.print(text.Table([]string{"MINION", "STATE", "SINCE", "SEEN", "VERSION", "ADDRESS", "RTT", "CLOCK", "SPOOLED"}, c.presenceRows(minions))...)
			}
			if err == nil && len(minions) == 0 {
				err = nobody(expr)
			}
			return err
		}),
	}
}

// presences leaves out what brine grains shows.
func presences(minions []fleet.Minion) []fleet.Minion {
	for i := range minions {
		minions[i].Grains = nil
	}
	return minions
}

func (c *cli) presenceRows(minions []fleet.Minion) []text.Row {
	rows := make([]text.Row, 0, len(minions))
	for _, m := range minions {
		row := text.Row{Cells: []string{string(m.ID), "away", text.Stamp(m.Since), text.Ago(m.LastSeen, c.now()), m.Version, "", "", "", ""}}
		if !m.Connected {
			row.Paint = c.out.bad
		} else {
			row.Cells[1] = "connected"
		}
		if v := m.Vitals; v != nil {
			row.Cells = append(row.Cells[:5], v.Address, roundTrip(v), clock(v), spooled(v))
		}
		rows = append(rows, row)
	}
	return rows
}

func roundTrip(v *fleet.Vitals) string {
	if v.RoundTrip == 0 {
		return ""
	}
	return strconv.FormatFloat(v.RoundTrip, 'f', 1, 64) + " ms"
}

// evenClocks is how far apart two clocks may be and count as the same.
const evenClocks = time.Second

func clock(v *fleet.Vitals) string {
	skew := time.Duration(v.ClockSkew * float64(time.Millisecond))
	switch {
	case v.RoundTrip == 0:
		return ""
	case skew.Abs() < evenClocks:
		return "ok"
	case skew > 0:
		return text.Duration(skew) + " ahead"
	default:
		return text.Duration(-skew) + " behind"
	}
}

func spooled(v *fleet.Vitals) string {
	s := number(v.Spooled)
	if v.Dropped > 0 {
		s = strconv.Itoa(v.Spooled) + ", full: " + strconv.FormatUint(v.Dropped, 10) + " dropped"
	}
	return s
}
