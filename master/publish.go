package master

import (
	"context"
	"fmt"
	"slices"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// publishAtOnce is how many jobs are journalled before they are sent: while the next ones are journalled, these are on
// their way.
const publishAtOnce = 1000

// publish makes jobs durable and sends them to those that are connected; the others get them with their next hello. When
// it fails, some may have been published; publishing all again adds those that are missing.
func (d *dispatcher) publish(ctx context.Context, deployment *fleet.Deployment, jobs []fleet.Job) error {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	var of fleet.Deployment
	if deployment != nil {
		of = *deployment
	}
	for part := range slices.Chunk(jobs, publishAtOnce) {
		envelopes, err := d.journal.AddJobs(ctx, of.ID, of.App, of.Group, part)
		if err != nil {
			return fmt.Errorf("journal jobs: %w", err)
		}
		ready := slices.DeleteFunc(envelopes, func(e journal.Envelope) bool { return !e.Due || !d.presence.isReady(e.Job.Minion) })
		if err := d.deliver(ready); err != nil {
			return err
		}
	}
	return nil
}

// deliver signs and sends jobs that are in the journal.
func (d *dispatcher) deliver(envelopes []journal.Envelope) error {
	jobs := make([]fleet.Job, len(envelopes))
	for i, e := range envelopes {
		jobs[i] = e.Job
	}
	signed, err := wire.SignAll(d.sign, jobs)
	if err != nil {
		return err
	}
	for i, e := range envelopes {
		if err := d.send(string(e.Job.Minion), wire.Job{Seq: e.Seq, Body: signed[i].Body, Sig: signed[i].Sig}); err != nil {
			d.log.Warn("job not sent, the minion gets it with its next hello", "minion", e.Job.Minion, "error", err)
		}
	}
	return nil
}
