package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const jobsLong = `See and stop jobs: what brine run and deployments have sent to minions.

On each of its minions a job goes this way:
  queued     not sent: the minion is away, and gets the job if it is back before the deadline
  sent       not acknowledged yet
  delivered  the minion has it safe: it waits there, or runs

It ends with one outcome:
  succeeded, failed
  refused      the minion would not run it: signature, target, deadline or function is wrong
  interrupted  the minion died inside it; it is never run again by itself
  killed       somebody stopped it, or withdrew it before it ran
  expired      its deadline passed before the minion had it: it never ran`

func (c *cli) jobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "See and stop jobs",
		Long:  jobsLong,
		Args:  family,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.jobsListCommand(), c.jobsShowCommand(), c.jobsKillCommand(), c.jobsWatchCommand())
	return cmd
}

func (c *cli) jobsListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs, the newest first",
		Long: `List jobs, the newest first, with the number of their minions and of those where the job succeeded, failed (was refused
or interrupted, too), was killed, has expired, or has not ended: in parentheses, how many of these have the job.`,
		Example: `  brine jobs list
  brine jobs list --limit 5 -o json`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, _ []string) error {
			if limit < 1 {
				return usage("", "--limit is a number from 1")
			}
			var list []fleet.JobSummary
			if err := c.master.get(ctx, "/v1/jobs", url.Values{"limit": {strconv.Itoa(limit)}}, &list); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(list)
			}
			if len(list) == 0 {
				c.sayf("no jobs yet\n")
				return nil
			}
			return c.print(text.Table([]string{"JOB", "WHEN", "DEADLINE", "FUNCTION", "BY", "MINIONS", "OK", "FAILED", "KILLED", "EXPIRED", "WAITING"}, c.jobRows(list))...)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many")
	return cmd
}

func (c *cli) jobRows(list []fleet.JobSummary) []text.Row {
	rows := make([]text.Row, 0, len(list))
	for _, j := range list {
		ok, killed, expired := j.Outcomes[fleet.Succeeded], j.Outcomes[fleet.Killed], j.Outcomes[fleet.Expired]
		waiting := number(j.Waiting)
		if j.Waiting > 0 {
			waiting += fmt.Sprintf(" (%d)", j.Delivered)
		}
		failed := j.Minions - j.Waiting - ok - killed - expired
		row := text.Row{Cells: []string{
			string(j.ID), text.Stamp(j.Issued), text.Stamp(j.Deadline), j.Function, j.By, strconv.Itoa(j.Minions),
			number(ok), number(failed), number(killed), number(expired), waiting,
		}}
		switch {
		case failed+killed+expired > 0:
			row.Paint = c.out.bad
		case j.Waiting > 0:
			row.Paint = c.out.busy
		}
		rows = append(rows, row)
	}
	return rows
}

// number leaves a zero out.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (c *cli) jobsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show JOB",
		Short: "Show how a job stands with each minion",
		Example: `  brine jobs show 20260501T120304-3f2a
  brine jobs show 20260501T120304-3f2a -o json`,
		Args: positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			job, err := c.job(ctx, args[0])
			switch {
			case err != nil:
				return err
			case c.json:
				return c.printJSON(job)
			default:
				return c.print(c.describe(job)...)
			}
		}),
	}
}

func (c *cli) job(ctx context.Context, id string) (job fleet.JobStatus, err error) {
	return job, c.master.get(ctx, "/v1/jobs/"+url.PathEscape(id), nil, &job)
}

// describe tells all about a job.
func (c *cli) describe(job fleet.JobStatus) []string {
	what := job.Function
	if len(job.Args) > 0 && string(job.Args) != "{}" {
		what += " " + string(job.Args)
	}
	lines := []string{
		c.out.strong(string(job.ID) + "  " + text.Line(what)),
		fmt.Sprintf("  by %s at %s, deadline %s", text.Line(job.By), text.Stamp(job.Issued), text.Stamp(job.Deadline)),
	}
	if job.Deployment != "" {
		lines = append(lines, fmt.Sprintf("  of deployment %s: %s %s", job.Deployment, job.App, job.Group))
	}
	for _, m := range job.PerMinion {
		lines = append(lines, c.minionJob(m, job.Deadline)...)
	}
	return lines
}

// minionJob tells how a job stands with one minion.
func (c *cli) minionJob(m fleet.JobMinion, deadline time.Time) []string {
	id := string(m.Minion)
	away := func() string { return notConnected(fleet.AwayPeer{Minion: m.Minion, Since: m.Since}) }
	if r := m.Return; r != nil {
		head, paint := fmt.Sprintf("%s: %s", id, r.Outcome), c.out.bad
		if r.Outcome == fleet.Succeeded {
			paint = c.out.good
		}
		if r.Reason != "" {
			head += ": " + text.Line(r.Reason)
		}
		lines := []string{paint(head)}
		for _, line := range text.Value(r.Value) {
			lines = append(lines, "    "+line)
		}
		return lines
	}
	line := id + ": " + string(m.State)
	switch {
	case m.State == fleet.JobQueued:
		line += ": " + away() + "; gets it if it is back before " + text.Stamp(deadline)
	case m.State == fleet.JobDelivered:
		line += " " + text.Stamp(m.Delivered) + ", not returned"
	case m.State == fleet.JobSent && !m.Connected:
		line += ", not acknowledged"
	}
	if m.State != fleet.JobQueued && !m.Connected {
		line += "; " + away()
	}
	if m.Killer != "" {
		line += "; to be killed, says " + text.Line(m.Killer)
	}
	return []string{c.out.busy(line)}
}

func (c *cli) jobsKillCommand() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "kill JOB",
		Short: "Stop a job on all its minions",
		Long: `Stop a job on all its minions. Where it has not been delivered it is withdrawn, and never runs. Where it runs, the
command gets TERM and, two seconds later, KILL; a release goes back to the one before. A minion that is away is told
when it is back. Each minion's return then says killed, and by whom.

A job of a deployment is killed with --force only: the deployment counts it as failed.`,
		Example: `  brine jobs kill 20260501T120304-3f2a`,
		Args:    positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			query := url.Values{}
			if force {
				query.Set("force", "true")
			}
			var k fleet.Killing
			if err := c.master.post(ctx, "/v1/jobs/"+url.PathEscape(args[0])+"/kill", query, nil, &k); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(k)
			}
			return c.print(killed(k)...)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also a job of a deployment")
	return cmd
}

// killed tells what killing did; minions that had nothing to stop are counted only.
func killed(k fleet.Killing) (lines []string) {
	for _, id := range k.Withdrawn {
		lines = append(lines, string(id)+": withdrawn, it never ran")
	}
	for _, id := range k.Told {
		lines = append(lines, string(id)+": told to stop it")
	}
	for _, a := range k.Away {
		lines = append(lines, string(a.Minion)+": "+notConnected(a)+"; is told when it is back")
	}
	if n := len(k.Ended); n > 0 {
		lines = append(lines, "it had ended on "+text.Count(n, "minion"))
	}
	return lines
}

func (c *cli) jobsWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch JOB",
		Short: "Print a job's returns as they come",
		Long: `Print what the minions of a job have returned and return, until all have or the deadline has passed.

Exit codes:
  0  all minions succeeded
  1  all failed
  2  usage
  3  some failed, or did not return`,
		Example: `  brine jobs watch 20260501T120304-3f2a`,
		Args:    positional,
		RunE: c.connected(func(ctx context.Context, args []string) error {
			job, err := c.job(ctx, args[0])
			if err != nil {
				return err
			}
			return c.watchJob(ctx, ticketOf(job))
		}),
	}
}

// ticketOf is what whoever started the job was given, as far as it is still true.
func ticketOf(job fleet.JobStatus) fleet.RunTicket {
	t := fleet.RunTicket{Job: job.ID, Deadline: job.Deadline}
	for _, m := range job.PerMinion {
		t.Minions = append(t.Minions, m.Minion)
		if m.Return == nil && !m.Connected {
			t.Away = append(t.Away, fleet.AwayPeer{Minion: m.Minion, Since: m.Since})
		}
	}
	return t
}
