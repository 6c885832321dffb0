package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// source reads the archive's own bytes: fetching, decrypting and hashing go on while those before are unpacked.
type source struct {
	full chan chunk
	free chan []byte
	stop chan struct{}
	gone chan struct{} // closed when nothing reads any more
	hash hash.Hash     // of all that was read, once the end was seen

	now    chunk
	buffer []byte // that now is in
	err    error  // how reading ended, as its user has seen it; nil after io.EOF
}

// chunk is some bytes, and what ended them.
type chunk struct {
	bytes []byte
	err   error
}

const (
	chunkSize = 64 << 10 // what age gives at once
	chunks    = 16
)

func startSource(ctx context.Context, r io.Reader) *source {
	s := &source{
		full: make(chan chunk, chunks), free: make(chan []byte, chunks), stop: make(chan struct{}), gone: make(chan struct{}), hash: sha256.New(),
	}
	for range chunks {
		s.free <- make([]byte, chunkSize)
	}
	go s.fill(&interruptible{ctx, r})
	return s
}

func (s *source) fill(r io.Reader) {
	defer close(s.gone)
	for {
		select {
		case <-s.stop:
			return
		case b := <-s.free:
			n, err := r.Read(b)
			s.hash.Write(b[:n])
			s.full <- chunk{b[:n], err} // there is room for all buffers
			if err != nil {
				return
			}
		}
	}
}

// Read gives the bytes in order. Not for concurrent use.
func (s *source) Read(b []byte) (int, error) {
	for len(s.now.bytes) == 0 {
		if s.now.err != nil {
			if !errors.Is(s.now.err, io.EOF) {
				s.err = s.now.err
			}
			return 0, s.now.err
		}
		if s.buffer != nil {
			s.free <- s.buffer
		}
		s.now = <-s.full
		s.buffer = s.now.bytes[:cap(s.now.bytes)]
	}
	n := copy(b, s.now.bytes)
	s.now.bytes = s.now.bytes[n:]
	return n, nil
}

// close waits until nothing reads any more. It can be repeated.
func (s *source) close() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	<-s.gone
}

// verify reads to the end and compares the digest.
func (s *source) verify(want fleet.Digest) error {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	if got := fleet.Digest(hex.EncodeToString(s.hash.Sum(nil))); got != want {
		return fmt.Errorf("%w: it is %s, not %s", ErrDigest, got.Short(), want.Short())
	}
	return nil
}

// interruptible ends with its context.
type interruptible struct {
	ctx context.Context // of the function that owns it
	r   io.Reader
}

func (i *interruptible) Read(b []byte) (int, error) {
	if err := context.Cause(i.ctx); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}
