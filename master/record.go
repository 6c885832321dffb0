package master

import (
	"context"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// wireReturn is what a minion has told and the journal has to keep: a part of a return, that it has a job, or what it is.
type wireReturn struct {
	from  fleet.MinionID
	ret   wire.Ret
	ack   uint64 // number of the job that it has; 0: it is something else
	hello bool   // keep what the roster has of the minion
	done  func() // called after the commit; nil: nothing to do
}

const (
	returnsQueue = 8192
	returnsBatch = 8192 // in one commit
)

func (d *dispatcher) enqueue(ctx context.Context, r wireReturn) {
	select {
	case d.returns <- r:
	case <-ctx.Done():
	}
}

// ackPatience is how long an acknowledgement may wait for more to come: nobody waits for it, and when many minions are given
// a job at once, sending comes first.
const ackPatience = 250 * time.Millisecond

// record commits what minions tell to the journal, all that has come during the last commit at a time, and acknowledges
// returns after the commit.
func (d *dispatcher) record(ctx context.Context) error {
	var batch []wireReturn
	var due <-chan time.Time // for acknowledgements alone
	for {
		urgent := false
		select {
		case r := <-d.returns:
			batch = append(batch, r)
			urgent = r.ack == 0
		case <-due:
			urgent = true
		case <-ctx.Done():
			return nil
		}
		for more := true; more && len(batch) < returnsBatch; {
			select {
			case r := <-d.returns:
				batch = append(batch, r)
				urgent = urgent || r.ack == 0
			default:
				more = false
			}
		}
		if !urgent && len(batch) < returnsBatch {
			if due == nil {
				due = time.After(ackPatience)
			}
			continue
		}
		if err := d.commit(ctx, batch); ctx.Err() == nil && err != nil {
			return err
		}
		batch, due = batch[:0], nil
	}
}

func (d *dispatcher) commit(ctx context.Context, batch []wireReturn) error {
	var told journal.Told
	last := map[fleet.MinionID]uint64{}
	for _, b := range batch {
		switch {
		case b.ack > 0:
			told.Acks = append(told.Acks, journal.Ack{Minion: b.from, Seq: b.ack})
		case b.hello:
			if m, ok := d.roster.get(b.from); ok {
				told.Minions = append(told.Minions, m)
			}
		default:
			told.Returns = append(told.Returns, b.ret.Return)
			told.Texts = append(told.Texts, b.ret.Text)
			last[b.from] = max(last[b.from], b.ret.RSeq)
		}
	}
	if err := d.journal.Accept(ctx, told); err != nil {
		return fmt.Errorf("journal returns: %w", err)
	}
	if unknown := d.journal.Unknown(); unknown > 0 {
		d.log.Warn("returns of unknown jobs dropped", "count", unknown)
	}
	for _, b := range batch {
		if b.done != nil {
			b.done()
		}
	}
	for minion, rseq := range last {
		if err := d.send(string(minion), wire.Rack{RSeq: rseq}); err != nil {
			d.log.Warn("return not acknowledged, the minion sends it again", "minion", minion, "error", err)
		}
	}
	return nil
}
