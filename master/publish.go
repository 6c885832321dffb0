package master

import (
	"context"
	"fmt"
	"slices"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// publishAtOnce is how many jobs of a deployment are journalled before they are sent: while the next ones are journalled,
// these are on their way. A person's job is one record for all.
const publishAtOnce = 1000

// deliverAtOnce is how many jobs are encoded before they are sent.
const deliverAtOnce = 256

// publish makes jobs durable and sends them to those that are connected; the others get them with their next hello. When
// it fails, some may have been published; publishing all again adds those that are missing.
func (d *dispatcher) publish(ctx context.Context, deployment *fleet.Deployment, jobs []fleet.Job) error {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	var of fleet.Deployment
	atOnce := max(len(jobs), 1)
	if deployment != nil {
		of, atOnce = *deployment, publishAtOnce
	}
	for part := range slices.Chunk(jobs, atOnce) {
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
	for part := range slices.Chunk(envelopes, deliverAtOnce) {
		if err := d.deliverPart(part); err != nil {
			return err
		}
	}
	return nil
}

func (d *dispatcher) deliverPart(envelopes []journal.Envelope) error {
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
