package master

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

const (
	// intakeBytes bounds what all minions' large returns take in memory, from the offer to the commit. Beyond it they wait,
	// at the price of nothing.
	intakeBytes = 4 * wire.MaxBlob
	// intakePatience is how long a minion may keep its place without sending.
	intakePatience = time.Minute
)

// intake puts the returns together that are too large for one message, one of each minion at a time.
//
//	offer -> waiting --room--> receiving --last chunk--> recording --commit--> gone
type intake struct {
	mu        sync.Mutex
	receiving map[fleet.MinionID]*receipt // guarded by mu
	waiting   []*receipt                  // guarded by mu; in order
	held      int                         // guarded by mu; sizes of what is received or recorded
}

// receipt is one return on its way in.
type receipt struct {
	*wire.Joiner
	from  fleet.MinionID
	heard time.Time // when its last chunk came
}

// chunkReply is an acknowledgement that is to be sent.
type chunkReply struct {
	to  fleet.MinionID
	ack wire.ChunkAck
}

// offer takes a blob's first chunk, and says whom to tell what. What the minion had begun before is dropped.
func (in *intake) offer(from fleet.MinionID, c wire.Chunk, now time.Time) ([]chunkReply, error) {
	joiner, err := wire.Join(c)
	if err != nil {
		return nil, err
	}
	if c.Size > wire.MaxBlob || c.Kind != wire.BlobReturn {
		return []chunkReply{{from, wire.ChunkAck{ID: c.ID, Stop: fmt.Sprintf("the master takes returns up to %d bytes", wire.MaxBlob)}}}, nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drop(from)
	in.waiting = append(in.waiting, &receipt{Joiner: joiner, from: from})
	return in.admit(now), nil
}

// chunk takes a piece of what was offered, and says how to acknowledge it. The last piece gives the whole; call done with
// its length once it is recorded.
func (in *intake) chunk(from fleet.MinionID, c wire.Chunk, now time.Time) (blob []byte, ack wire.ChunkAck, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	r := in.receiving[from]
	if r == nil {
		return nil, ack, fmt.Errorf("%w: nothing was offered", wire.ErrChunk)
	}
	if ack, err = r.Add(c); err != nil {
		return nil, ack, err
	}
	r.heard = now
	if blob = r.Blob(); blob != nil {
		delete(in.receiving, from)
	}
	return blob, ack, nil
}

// done gives the room of a recorded blob to those that wait.
func (in *intake) done(size int, now time.Time) []chunkReply {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held -= size
	return in.admit(now)
}

// forget drops what a minion has begun, since its connection has ended.
func (in *intake) forget(from fleet.MinionID, now time.Time) []chunkReply {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drop(from)
	return in.admit(now)
}

// stalled names the minions that keep others waiting.
func (in *intake) stalled(now time.Time) (names []fleet.MinionID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) == 0 {
		return nil
	}
	for from, r := range in.receiving {
		if now.Sub(r.heard) > intakePatience {
			names = append(names, from)
		}
	}
	return names
}

// admit lets in what there is room for. It is called with mu held.
func (in *intake) admit(now time.Time) (replies []chunkReply) {
	for len(in.waiting) > 0 && in.held+in.waiting[0].Size() <= intakeBytes {
		r := in.waiting[0]
		in.waiting = in.waiting[1:]
		if in.receiving == nil {
			in.receiving = map[fleet.MinionID]*receipt{}
		}
		r.heard = now
		in.receiving[r.from] = r
		in.held += r.Size()
		replies = append(replies, chunkReply{r.from, r.Acked()})
	}
	return replies
}

// drop is called with mu held.
func (in *intake) drop(from fleet.MinionID) {
	if r := in.receiving[from]; r != nil {
		in.held -= r.Size()
		delete(in.receiving, from)
	}
	in.waiting = slices.DeleteFunc(in.waiting, func(r *receipt) bool { return r.from == from })
}

// chunk takes a piece of a large return; the last one makes it a return like the others. A minion whose chunks do not
// follow each other has to begin anew.
func (d *dispatcher) chunk(from fleet.MinionID, c wire.Chunk) (*wireReturn, error) {
	now := time.Now()
	if len(c.Data) == 0 {
		replies, err := d.intake.offer(from, c, now)
		d.sendChunkAcks(replies)
		return nil, err
	}
	blob, ack, err := d.intake.chunk(from, c, now)
	if err != nil {
		d.bus.Disconnect(string(from))
		return nil, err
	}
	d.sendChunkAcks([]chunkReply{{from, ack}})
	if blob == nil {
		return nil, nil
	}
	release := func() { d.sendChunkAcks(d.intake.done(len(blob), time.Now())) }
	r := &wireReturn{from: from, ret: wire.Ret{RSeq: c.ID}, done: release}
	if err := json.Unmarshal(blob, &r.ret.Return); err != nil {
		release()
		return nil, fmt.Errorf("return in chunks: %w", err)
	}
	r.ret.Return.Minion = from
	return r, nil
}

func (d *dispatcher) sendChunkAcks(replies []chunkReply) {
	for _, r := range replies {
		if err := d.send(string(r.to), r.ack); err != nil {
			d.log.Warn("chunk not acknowledged, the minion sends it again", "minion", r.to, "error", err)
		}
	}
}
