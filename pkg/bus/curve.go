package bus

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/nacl/box"

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

const (
	prefixHello    = "CurveZMQHELLO---"
	prefixInitiate = "CurveZMQINITIATE"
	prefixReady    = "CurveZMQREADY---"
	prefixServer   = "CurveZMQMESSAGES"
	prefixClient   = "CurveZMQMESSAGEC"
	prefixWelcome  = "WELCOME-"
	prefixVouch    = "VOUCH---"
)
