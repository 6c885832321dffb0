package bus

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/poly1305"      //nolint:staticcheck // as a part of the box that CURVE prescribes
	"golang.org/x/crypto/salsa20/salsa" //nolint:staticcheck // the same
)

// session encrypts the frames of one connection, and decrypts those of the other side. Each direction has one user.
//
// What it makes is NaCl's secretbox. It is made here, of the same parts, because of what is the same for all messages of a
// direction, and because it can be opened where it lies, or into the memory where it is wanted.
type session struct {
	key                    [32]byte
	sent, received         uint64 // the last nonces
	sendPrefix, recvPrefix string
	send, recv             direction
}

// direction is a part of a box's key that only depends on the direction.
type direction struct {
	key   [32]byte
	known bool
}

func (d *direction) of(key *[32]byte, prefix string) *[32]byte {
	if !d.known {
		var in [16]byte
		copy(in[:], prefix)
		salsa.HSalsa20(&d.key, &in, key, &salsa.Sigma)
		d.known = true
	}
	return &d.key
}

// A frame inside a MESSAGE is a byte that says its kind, and a body.
const (
	innerMessage = 0
	innerMore    = 1 // part of a message, not the last one
	innerCommand = 2

	messageName     = "\x07MESSAGE"
	messageHead     = len(messageName) + 8
	messageOverhead = messageHead + secretbox.Overhead + 1
)

// Of the first block of the key stream one half is the key of the tag, the other encrypts the beginning.
const half = 32

func firstBlock(key *[32]byte, nonce uint64) (tagKey [half]byte, pad [half]byte, counter [16]byte) {
	var block [2 * half]byte
	binary.BigEndian.PutUint64(counter[:], nonce)
	salsa.XORKeyStream(block[:], block[:], &counter, key)
	counter[8] = 1
	return [half]byte(block[:half]), [half]byte(block[half:]), counter
}

// seal appends the MESSAGE of an inner frame to dst.
func (s *session) seal(dst, inner []byte) []byte { return s.sealFrame(dst, frame{inner[0], inner[1:]}) }

func (s *session) sealFrame(dst []byte, f frame) []byte {
	s.sent++
	dst = appendHeader(dst, header{size: messageOverhead + len(f.body)})
	dst = append(dst, messageName...)
	dst = binary.BigEndian.AppendUint64(dst, s.sent)
	at := len(dst)
	dst = slices.Grow(dst, secretbox.Overhead+1+len(f.body))[:at+secretbox.Overhead+1+len(f.body)]
	tag, out := (*[secretbox.Overhead]byte)(dst[at:]), dst[at+secretbox.Overhead:]

	key := s.send.of(&s.key, s.sendPrefix)
	tagKey, pad, counter := firstBlock(key, s.sent)
	out[0] = f.kind ^ pad[0]
	subtle.XORBytes(out[1:], f.body[:min(len(f.body), half-1)], pad[1:])
	if len(out) > half {
		salsa.XORKeyStream(out[half:], f.body[half-1:], &counter, key)
	}
	poly1305.Sum(tag, out, &tagKey)
	return dst
}

// open returns the inner frame of a MESSAGE, which it decrypts in place.
func (s *session) open(body []byte) ([]byte, error) {
	inner, err := s.check(body)
	if err != nil {
		return nil, err
	}
	s.decrypt(inner[1:], inner)
	return inner, nil
}

// check returns the inner frame of a MESSAGE that the other side has made; see decrypt for all but its first byte. Nonces
// only go up, so that nothing is replayed or reordered.
func (s *session) check(body []byte) ([]byte, error) {
	if len(body) < messageOverhead || string(body[:len(messageName)]) != messageName {
		return nil, fmt.Errorf("%w: no MESSAGE", errFrame)
	}
	n := binary.BigEndian.Uint64(body[len(messageName):])
	tag, inner := (*[secretbox.Overhead]byte)(body[messageHead:]), body[messageHead+secretbox.Overhead:]
	tagKey, pad, _ := firstBlock(s.recv.of(&s.key, s.recvPrefix), n)
	if !poly1305.Verify(tag, inner, &tagKey) || n <= s.received {
		return nil, errBox
	}
	s.received = n
	subtle.XORBytes(inner, inner[:min(len(inner), half)], pad[:])
	return inner, nil
}

// decrypt puts the body of the inner frame that check gave last into dst, which has its length and may be where it lies.
func (s *session) decrypt(dst, inner []byte) {
	copy(dst, inner[1:min(len(inner), half)])
	if len(inner) <= half {
		return
	}
	var counter [16]byte
	binary.BigEndian.PutUint64(counter[:], s.received)
	counter[8] = 1
	salsa.XORKeyStream(dst[half-1:], inner[half:], &counter, s.recv.of(&s.key, s.recvPrefix))
}
