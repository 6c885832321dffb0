package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the setup and say what to mend",
		Long: `Check the setup, from here and from the master, and say what to mend.

Exit codes:
  0  all is well
  1  something has to be mended`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, _ []string) error {
			checks, err := c.examine(ctx)
			if err != nil {
				return err
			}
			if c.json {
				err = c.printJSON(checks)
			} else {
				err = c.print(c.checkLines(checks)...)
			}
			if err != nil {
				return err
			}
			for _, check := range checks {
				if !check.OK {
					return exit(fleet.ExitFailed)
				}
			}
			return nil
		}),
	}
}

// examine asks the master for its checks; that it answers is the first of them.
func (c *cli) examine(ctx context.Context) ([]fleet.Check, error) {
	var checks []fleet.Check
	err := c.master.get(ctx, "/v1/doctor", nil, &checks)
	var gone *unreachable
	switch {
	case errors.As(err, &gone):
		what, todo := gone.parts()
		return []fleet.Check{{Name: "master", Detail: "not reachable at " + gone.socket + ": " + what, Mend: todo}}, nil
	case err != nil:
		return nil, err
	}
	return append([]fleet.Check{{Name: "master", OK: true, Detail: "answers at " + c.master.socket}}, checks...), nil
}

func (c *cli) checkLines(checks []fleet.Check) []string {
	rows := make([]text.Row, 0, len(checks))
	for _, check := range checks {
		row := text.Row{Cells: []string{"ok", check.Name, check.Detail, check.Mend}, Paint: c.out.good}
		if !check.OK {
			row.Cells[0], row.Paint = "BAD", c.out.bad
		}
		rows = append(rows, row)
	}
	return text.Table([]string{"", "CHECK", "FOUND", "TO MEND IT"}, rows)
}
