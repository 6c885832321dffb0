package minion

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/brine-deploy/brine/minion/spool"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// returnsAtOnce bounds what is read from the spool at a time.
const returnsAtOnce = 64

// maxValue bounds the value of a return, in bytes: the return has to fit a blob, and a record of the spool.
const maxValue = wire.MaxBlob - 4<<20

// sendReturns sends what is in the spool, in order, and what comes into it.
func (s *session) sendReturns(ctx context.Context) error {
	var sent uint64
	for {
		changed := s.spool.Changed()
		pending, err := s.spool.Pending(sent, returnsAtOnce)
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		for _, e := range pending {
			if err := s.sendReturn(ctx, e); err != nil {
				return err
			}
			sent = e.RSeq
		}
		if len(pending) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendReturn sends one return; a large one in chunks, between which acknowledgements and probes go out.
func (s *session) sendReturn(ctx context.Context, e spool.Entry) error {
	if len(e.Return.Value) <= wire.ChunkSize {
		err := s.send(ctx, wire.Ret{RSeq: e.RSeq, Return: e.Return})
		if err == nil && e.Return.Last {
			s.acks.told(e.Return.Job)
		}
		return err
	}
	blob, err := json.Marshal(e.Return)
	if err != nil {
		return fmt.Errorf("encode return of %s: %w", e.Return.Job, err)
	}
	chunks := wire.Split(wire.BlobReturn, e.RSeq, blob)
	for !chunks.Sent() {
		if c, ok := chunks.Next(); ok {
			if err := s.send(ctx, c); err != nil {
				return err
			}
			continue
		}
		select {
		case ack := <-s.chunkAcks:
			if ack.ID == e.RSeq && ack.Stop != "" {
				s.log.Warn("the master does not take a return's value", "job", e.Return.Job, "reason", ack.Stop)
				return s.send(ctx, wire.Ret{RSeq: e.RSeq, Return: withoutValue(e.Return, ack.Stop)})
			}
			chunks.Ack(ack)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// withoutValue is a return whose value is left out, and says why.
func withoutValue(r fleet.Return, why string) fleet.Return {
	note := fmt.Sprintf("its value of %d bytes was left out: %s", len(r.Value), why)
	if r.Value = nil; r.Reason != "" {
		note = r.Reason + "; " + note
	}
	r.Reason = note
	return r
}
