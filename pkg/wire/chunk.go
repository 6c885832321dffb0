package wire

import (
	"errors"
	"fmt"
)

// A blob is what is too large for one message: it travels in chunks, so that nothing waits long behind it, and no more of
// it is under way than the reader takes. A chunk without data offers it; the reader's first ChunkAck lets the rest come.
//
//	writer                          reader
//	Chunk{Size}            ->
//	                       <-  ChunkAck{Off: 0}        when there is room for it
//	Chunk{Off, Data} ...   ->                          at most Window bytes without a ChunkAck
//	                       <-  ChunkAck{Off}
//
// A connection that ends takes the blob with it; it is offered anew on the next.
const (
	// ChunkSize is how much of a blob a Chunk carries, in bytes. What is no larger goes as a message of its own.
	ChunkSize = 512 << 10
	// Window is how much of a blob may be under way, in bytes.
	Window = 4 * ChunkSize
	// MaxBlob is how large a blob may be, in bytes.
	MaxBlob = 64 << 20
)

// BlobReturn is the Kind of the JSON form of a fleet.Return. Its ID is the RSeq.
const BlobReturn = "return"

// Chunk is a piece of a blob. One direction of a connection has one blob at a time.
type Chunk struct {
	Kind string `msgpack:"kind"`
	ID   uint64 `msgpack:"id"`
	Size int    `msgpack:"size"` // of the whole blob
	Off  int    `msgpack:"off"`
	Data []byte `msgpack:"data,omitempty"` // none: the blob is offered
}

// ChunkAck tells how much of a blob has arrived. Stop, when it is not empty, says why the rest is not wanted.
type ChunkAck struct {
	ID   uint64 `msgpack:"id"`
	Off  int    `msgpack:"off"`
	Stop string `msgpack:"stop,omitempty"`
}

// ErrChunk refuses a chunk that is not the next one of its blob.
var ErrChunk = errors.New("chunk does not follow")

// Splitter gives the chunks of a blob. It is pure; make it with Split.
type Splitter struct {
	kind     string
	id       uint64
	blob     []byte
	offered  bool
	accepted bool
	sent     int
	acked    int
}

// Split returns the chunks of a blob that is not empty.
func Split(kind string, id uint64, blob []byte) *Splitter {
	return &Splitter{kind: kind, id: id, blob: blob}
}

// Next returns the chunk to be sent now; false while Ack has to come first, or all is sent.
func (s *Splitter) Next() (Chunk, bool) {
	c := Chunk{Kind: s.kind, ID: s.id, Size: len(s.blob), Off: s.sent}
	if !s.offered {
		s.offered = true
		return c, true
	}
	n := min(ChunkSize, len(s.blob)-s.sent)
	if !s.accepted || n == 0 || s.sent+n-s.acked > Window {
		return Chunk{}, false
	}
	c.Data = s.blob[s.sent : s.sent+n]
	s.sent += n
	return c, true
}

// Ack takes the reader's word for what has arrived. That of another blob, or of more than was sent, changes nothing.
func (s *Splitter) Ack(a ChunkAck) {
	if a.ID != s.id || a.Off < s.acked || a.Off > s.sent {
		return
	}
	s.accepted, s.acked = true, a.Off
}

// Sent reports whether there are no more chunks.
func (s *Splitter) Sent() bool { return s.sent == len(s.blob) }

// Joiner puts a blob together. It holds what has arrived, never what is only claimed. Make it with Join.
type Joiner struct {
	offer Chunk
	blob  []byte
}

// Join begins with the chunk that offers a blob. ErrChunk: it is none. A blob above MaxBlob is for the caller to refuse.
func Join(offer Chunk) (*Joiner, error) {
	if offer.Size <= 0 || offer.Off != 0 || len(offer.Data) > 0 {
		return nil, fmt.Errorf("%w: not an offer", ErrChunk)
	}
	return &Joiner{offer: offer}, nil
}

// Add takes the next chunk, and says how to acknowledge it. ErrChunk: it is not the next one.
func (j *Joiner) Add(c Chunk) (ChunkAck, error) {
	if c.Kind != j.offer.Kind || c.ID != j.offer.ID || c.Size != j.offer.Size {
		return ChunkAck{}, fmt.Errorf("%w: it is of another blob", ErrChunk)
	}
	if c.Off != len(j.blob) || len(c.Data) == 0 || len(c.Data) > min(ChunkSize, j.offer.Size-len(j.blob)) {
		return ChunkAck{}, fmt.Errorf("%w: %d bytes at %d of %d, after %d", ErrChunk, len(c.Data), c.Off, c.Size, len(j.blob))
	}
	j.blob = append(j.blob, c.Data...)
	return j.Acked(), nil
}

// Acked is the acknowledgement of what has arrived.
func (j *Joiner) Acked() ChunkAck { return ChunkAck{ID: j.offer.ID, Off: len(j.blob)} }

// ID is the blob's.
func (j *Joiner) ID() uint64 { return j.offer.ID }

// Size is how large the whole blob is.
func (j *Joiner) Size() int { return j.offer.Size }

// Blob returns the whole blob; nil while it is not.
func (j *Joiner) Blob() []byte {
	if len(j.blob) < j.offer.Size {
		return nil
	}
	return j.blob
}
