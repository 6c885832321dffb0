package minion

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// Acknowledgements wait this long, and up to as long again, each minion at its own pace: when thousands are given a job, the
// master first has to send it to all of them.
const ackPatience = 500 * time.Millisecond

// acks are the acknowledgements that a session owes. Nothing is lost with them: the master sends again at the next hello what
// was not acknowledged, and the inbox knows it. Until then the master cannot tell whether the job has arrived, and so neither
// withdraws it nor lets it expire.
type acks struct {
	mu    sync.Mutex
	owed  []owed        // guarded by mu; in order
	added chan struct{} // gets a value when owed is not empty any more
}

type owed struct {
	seq uint64
	job fleet.JobID
}

func newAcks() *acks { return &acks{added: make(chan struct{}, 1)} }

// add notes that a job is written down here. Call it before the job may run.
func (a *acks) add(seq uint64, job fleet.JobID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owed = append(a.owed, owed{seq, job})
	select {
	case a.added <- struct{}{}:
	default:
	}
}

// told forgets a job whose last return was sent: that tells the master as well that the job has arrived.
func (a *acks) told(job fleet.JobID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owed = slices.DeleteFunc(a.owed, func(o owed) bool { return o.job == job })
}

// take empties the list.
func (a *acks) take() []owed {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.owed
	a.owed = nil
	return list
}

// sendAcks tells the master, a little later, which jobs have arrived.
func (s *session) sendAcks(ctx context.Context) error {
	for {
		select {
		case <-s.acks.added:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(ackPatience + rand.N(ackPatience)): //nolint:gosec // no secret
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, o := range s.acks.take() {
			if err := s.send(ctx, wire.Ack{Seq: o.seq}); err != nil {
				return err
			}
		}
	}
}
