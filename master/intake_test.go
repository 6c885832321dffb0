package master

import (
	"errors"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

func TestLargeReturnsWaitForRoom(t *testing.T) {
	var in intake
	now := time.Now()
	offer := func(from fleet.MinionID, size int) []chunkReply {
		t.Helper()
		replies, err := in.offer(from, wire.Chunk{Kind: wire.BlobReturn, ID: 1, Size: size}, now)
		if err != nil {
			t.Fatal(err)
		}
		return replies
	}
	for _, id := range []fleet.MinionID{"a", "b", "c", "d"} {
		if got := offer(id, wire.MaxBlob); len(got) != 1 || got[0].to != id || got[0].ack.Stop != "" {
			t.Fatalf("offer of %s: %+v", id, got)
		}
	}
	for _, id := range []fleet.MinionID{"e", "f"} { // no room
		if got := offer(id, 1); len(got) != 0 {
			t.Fatalf("offer of %s: %+v", id, got)
		}
		if _, _, err := in.chunk(id, wire.Chunk{Kind: wire.BlobReturn, ID: 1, Size: 1, Data: []byte("x")}, now); !errors.Is(err, wire.ErrChunk) {
			t.Errorf("%s sends before its turn: %v", id, err)
		}
	}
	if got := offer("g", wire.MaxBlob+1); len(got) != 1 || got[0].ack.Stop == "" {
		t.Errorf("a return above the limit: %+v", got)
	}
	if names := in.stalled(now.Add(2 * intakePatience)); len(names) != 4 {
		t.Errorf("stalled: %v", names)
	}
	// One disconnects, and those that wait get their turn; what is offered anew takes no second place.
	if got := in.forget("b", now); len(got) != 2 || got[0].to != "e" || got[1].to != "f" {
		t.Errorf("after b has gone: %+v", got)
	}
	offer("e", 1)
	blob, ack, err := in.chunk("e", wire.Chunk{Kind: wire.BlobReturn, ID: 1, Size: 1, Data: []byte("x")}, now)
	if err != nil || string(blob) != "x" || ack.Off != 1 {
		t.Errorf("blob %q, %+v, %v", blob, ack, err)
	}
	if want := 3*wire.MaxBlob + 2; in.held != want { // until it is recorded
		t.Errorf("holds %d, want %d", in.held, want)
	}
	in.done(1, now)
	for _, id := range []fleet.MinionID{"a", "c", "d", "f", "x"} {
		in.forget(id, now)
	}
	if in.held != 0 || len(in.receiving)+len(in.waiting) != 0 {
		t.Errorf("holds %d bytes when all have gone", in.held)
	}
}
