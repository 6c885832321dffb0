package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// batchSize reads "25%" or "5" as how many of all minions.
func batchSize(batch string, all int) (int, error) {
	number, percent := strings.CutSuffix(batch, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || percent && n > 100 {
		return 0, usage("", "--batch %q: it must be a number of minions from 1, or a share such as 25%%", batch)
	}
	if percent {
		n = max(1, all*n/100)
	}
	return n, nil
}

// runBatches runs a function on some minions of a target at a time: the next ones when the last have returned, or are late.
// It stops when it is interrupted, and with failhard when a minion has failed.
func (c *cli) runBatches(ctx context.Context, req fleet.RunRequest, batch string, failhard bool) error {
	minions, err := c.minions(ctx, req.Target)
	if err != nil {
		return err
	}
	if len(minions) == 0 {
		return nobody(req.Target)
	}
	size, err := batchSize(batch, len(minions))
	if err != nil {
		return err
	}
	all, whole := tally{OK: []fleet.MinionID{}, Failed: []fleet.MinionID{}, Missing: []fleet.MinionID{}}, fleet.RunTicket{}
	left := len(minions)
	for part := range slices.Chunk(minions, size) {
		ids := make([]string, len(part))
		for i, m := range part {
			ids[i] = string(m.ID)
		}
		if size < len(minions) {
			c.sayf("batch of %s: %s\n", text.Count(len(part), "minion"), strings.Join(ids, ", "))
		}
		req.Target = "L@" + strings.Join(ids, ",")
		ticket, err := c.publish(ctx, req)
		if err != nil {
			return err
		}
		t, err := c.gather(ctx, ticket)
		if err != nil {
			return err
		}
		all.Job, left = t.Job, left-len(part)
		all.OK, all.Failed, all.Missing = append(all.OK, t.OK...), append(all.Failed, t.Failed...), append(all.Missing, t.Missing...)
		whole.Minions, whole.Away = append(whole.Minions, ticket.Minions...), append(whole.Away, ticket.Away...)
		if failhard && left > 0 && len(t.Failed)+len(t.Missing) > 0 {
			c.sayf("stopped: %s not begun\n", text.Count(left, "minion"))
			break
		}
	}
	return c.close(whole, all)
}
