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

// source reads the archive's own bytes: decrypting and hashing go on while those before are unpacked.
type source struct {
	ahead *Ahead
	hash  hash.Hash // of all that was read, once the end was seen
	err   error     // how reading ended, as its user has seen it; nil after io.EOF
}

// What is read ahead of the unpacking: the buffers are as large as what age gives at once.
const (
	aheadSize  = 64 << 10
	aheadCount = 16
)

func startSource(ctx context.Context, r io.Reader) *source {
	hash := sha256.New()
	return &source{hash: hash, ahead: ReadAhead(io.TeeReader(&interruptible{ctx, r}, hash), aheadSize, aheadCount)}
}

// Read gives the bytes in order. Not for concurrent use.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.ahead.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
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
