package bus

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// CurveZMQ, https://rfc.zeromq.org/spec/26/. Upper-case names there are these here:
//
//	C, c    client's lasting key       ClientKey, the KeyPair
//	S, s    server's lasting key       the pinned MasterKey
//	C', c'  client's key of the connection
//	S', s'  server's key of the connection
//
//	client                                                   server
//	HELLO     C', box of zeros(C' -> S)               ->
//	                                                  <-     WELCOME   box of S', cookie (S -> C')
//	INITIATE  cookie, box of C, vouch, metadata (C' -> S') ->
//	                                                  <-     READY     box of metadata (S' -> C')
//
// The vouch is a box of C' and S (C -> S'): only who has c can make it.

// errBox is for a box that does not open: wrong key, or altered.
var errBox = errors.New("box does not open")

// Sizes of the handshake's commands without their names.
const (
	helloSize     = 2 + 72 + 32 + 8 + 64 + box.Overhead
	cookieSize    = 96
	welcomeSize   = 16 + 32 + cookieSize + box.Overhead
	vouchSize     = 16 + 64 + box.Overhead
	initiateHead  = cookieSize + 8
	initiateLeast = initiateHead + box.Overhead + 32 + vouchSize
	// handshakeMost bounds a frame of the handshake: the largest is INITIATE, and its metadata is short.
	handshakeMost = 1024
)

// shortNonce is a nonce of a counter, longNonce one of random bytes.
func shortNonce(prefix string, n uint64) *[24]byte {
	var b [24]byte
	copy(b[:16], prefix)
	binary.BigEndian.PutUint64(b[16:], n)
	return &b
}

func longNonce(prefix string, random []byte) *[24]byte {
	var b [24]byte
	copy(b[:8], prefix)
	copy(b[8:], random)
	return &b
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // it never fails
	return b
}

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func array(k *fleet.Key) *[32]byte { return (*[32]byte)(k) }

// session encrypts the frames of one connection, and decrypts those of the other side. Each direction has one user.
type session struct {
	key                    [32]byte
	sent, received         uint64 // the last nonces
	sendPrefix, recvPrefix string
}

// A frame inside a MESSAGE is a byte of flags and a body.
const (
	innerMessage = 0
	innerMore    = 1 // part of a message, not the last one
	innerCommand = 2

	messageName     = "\x07MESSAGE"
	messageOverhead = len(messageName) + 8 + secretbox.Overhead + 1
)

// seal appends the MESSAGE of an inner frame to dst.
func (s *session) seal(dst, inner []byte) []byte {
	s.sent++
	dst = appendHeader(dst, header{size: messageOverhead - 1 + len(inner)})
	dst = append(dst, messageName...)
	dst = binary.BigEndian.AppendUint64(dst, s.sent)
	return secretbox.Seal(dst, inner, shortNonce(s.sendPrefix, s.sent), &s.key)
}

// open returns the inner frame of a MESSAGE. Nonces only go up, so that nothing is replayed or reordered.
func (s *session) open(body []byte) ([]byte, error) {
	if len(body) < messageOverhead || string(body[:len(messageName)]) != messageName {
		return nil, fmt.Errorf("%w: no MESSAGE", errFrame)
	}
	body = body[len(messageName):]
	n := binary.BigEndian.Uint64(body)
	inner, ok := secretbox.Open(nil, body[8:], shortNonce(s.recvPrefix, n), &s.key)
	if !ok || n <= s.received {
		return nil, errBox
	}
	s.received = n
	return inner, nil
}

const (
	prefixHello    = "CurveZMQHELLO---"
	prefixInitiate = "CurveZMQINITIATE"
	prefixReady    = "CurveZMQREADY---"
	prefixServer   = "CurveZMQMESSAGES"
	prefixClient   = "CurveZMQMESSAGEC"
	prefixWelcome  = "WELCOME-"
	prefixVouch    = "VOUCH---"
)
