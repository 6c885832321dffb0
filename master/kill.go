package master

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// expireEvery is how often jobs are looked for whose time is over.
const expireEvery = time.Second

// expire gives an outcome to jobs that did not get to their minions in time, and cuts off whoever holds large returns up,
// until ctx is done.
func (d *dispatcher) expire(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		n, err := d.journal.Expire(ctx, time.Now(), d.isConnected)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case n > 0:
			d.log.Info("jobs expired before their minions had them", "count", n)
		}
		for _, minion := range d.intake.stalled(time.Now()) {
			d.log.Warn("minion stopped in the middle of a large return and is cut off", "minion", minion)
			d.bus.Disconnect(string(minion))
		}
	}
}

func (d *dispatcher) isConnected(id fleet.MinionID) bool {
	connected, _ := d.presence.state(id)
	return connected
}

// kill withdraws a job from the minions that do not have it, and tells the others to stop it; those that are away are
// told when they are back.
func (d *dispatcher) kill(ctx context.Context, id fleet.JobID, by string) (fleet.Killing, error) {
	d.publishing.Lock() // nothing gets sent while the journal decides what has not been
	defer d.publishing.Unlock()
	k, err := d.journal.Kill(ctx, id, by, d.isConnected)
	if err != nil {
		return fleet.Killing{}, err
	}
	out := fleet.Killing{Job: id, Withdrawn: notNil(k.Withdrawn), Told: []fleet.MinionID{}, Ended: notNil(k.Ended)}
	for _, o := range k.Tell {
		if !d.isConnected(o.Minion) {
			_, since := d.presence.state(o.Minion)
			out.Away = append(out.Away, fleet.AwayPeer{Minion: o.Minion, Since: since})
			continue
		}
		out.Told = append(out.Told, o.Minion)
	}
	d.log.Info("job killed", "job", id, "by", by, "withdrawn", len(k.Withdrawn), "told", len(out.Told), "away", len(out.Away))
	return out, d.tellKill(slices.DeleteFunc(k.Tell, func(o journal.Order) bool { return !d.isConnected(o.Minion) }))
}

// tellKill tells minions to stop jobs. One that does not hear it is told again by hello.
func (d *dispatcher) tellKill(orders []journal.Order) error {
	for _, o := range orders {
		if err := d.send(string(o.Minion), wire.Ctl{Verb: wire.CtlKill, Job: o.Job, Reason: o.By}); err != nil {
			return fmt.Errorf("kill job %s: %w", o.Job, err)
		}
	}
	return nil
}
