package wire

import (
	"bytes"
	"errors"
	"testing"
)

// carry moves a blob from a splitter to a joiner through messages, and returns the most that was under way.
func carry(t *testing.T, blob []byte) (joined []byte, most int) {
	t.Helper()
	s := Split(BlobReturn, 7, blob)
	offer, ok := s.Next()
	if _, early := s.Next(); !ok || early {
		t.Fatal("data came before the offer was taken")
	}
	j, err := Join(offer)
	if err != nil {
		t.Fatal(err)
	}
	s.Ack(ChunkAck{ID: 8}) // of another blob
	if _, early := s.Next(); early {
		t.Fatal("another blob's acknowledgement opened this one")
	}
	s.Ack(j.Acked())
	for !s.Sent() {
		var under []Chunk
		bytes := 0
		for c, ok := s.Next(); ok; c, ok = s.Next() {
			under, bytes = append(under, c), bytes+len(c.Data)
		}
		if most = max(most, bytes); len(under) == 0 {
			t.Fatal("stuck")
		}
		for _, c := range under {
			encoded, err := Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := Decode(encoded)
			if err != nil {
				t.Fatal(err)
			}
			ack, err := j.Add(decoded.(Chunk))
			if err != nil {
				t.Fatal(err)
			}
			s.Ack(ack)
		}
	}
	return j.Blob(), most
}

func TestABlobArrivesWholeWithinItsWindow(t *testing.T) {
	for _, size := range []int{1, ChunkSize, ChunkSize + 1, Window, 3*Window + 17} {
		blob := bytes.Repeat([]byte("brine"), size/5+1)[:size]
		joined, most := carry(t, blob)
		if !bytes.Equal(joined, blob) || most > Window {
			t.Errorf("%d bytes: %d came, %d were under way", size, len(joined), most)
		}
	}
}

func TestChunksThatDoNotFollowAreRefused(t *testing.T) {
	if _, err := Join(Chunk{ID: 1, Size: 10, Data: []byte("x")}); !errors.Is(err, ErrChunk) {
		t.Errorf("an offer with data gave %v", err)
	}
	j, err := Join(Chunk{Kind: BlobReturn, ID: 1, Size: 10})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Chunk{
		"another blob":   {Kind: BlobReturn, ID: 2, Size: 10, Data: []byte("x")},
		"another size":   {Kind: BlobReturn, ID: 1, Size: 11, Data: []byte("x")},
		"a gap":          {Kind: BlobReturn, ID: 1, Size: 10, Off: 1, Data: []byte("x")},
		"nothing":        {Kind: BlobReturn, ID: 1, Size: 10},
		"more than said": {Kind: BlobReturn, ID: 1, Size: 10, Data: make([]byte, 11)},
	} {
		if _, err := j.Add(c); !errors.Is(err, ErrChunk) {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if j.Blob() != nil {
		t.Error("a blob that did not come is whole")
	}
}

// FuzzJoin gives a joiner any chunks: what it takes stays within what was offered and is what was sent.
func FuzzJoin(f *testing.F) {
	f.Add(uint8(5), []byte{0, 2, 2, 3})
	f.Add(uint8(1), []byte{0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, size uint8, moves []byte) {
		j, err := Join(Chunk{ID: 1, Size: int(size)})
		if (err == nil) != (size > 0) {
			t.Fatalf("offer of %d gave %v", size, err)
		}
		if err != nil {
			return
		}
		var taken []byte
		for i := 0; i+1 < len(moves); i += 2 {
			c := Chunk{ID: 1, Size: int(size), Off: int(moves[i]), Data: bytes.Repeat([]byte{byte(i)}, int(moves[i+1]))}
			ack, err := j.Add(c)
			if err != nil {
				continue
			}
			taken = append(taken, c.Data...)
			if c.Off != len(taken)-len(c.Data) || ack.Off != len(taken) || len(taken) > int(size) {
				t.Fatalf("took %d bytes at %d, acknowledged %d of %d", len(c.Data), c.Off, ack.Off, size)
			}
		}
		if blob := j.Blob(); blob != nil && (!bytes.Equal(blob, taken) || len(taken) != int(size)) {
			t.Fatal("the blob is not what was taken")
		}
	})
}
