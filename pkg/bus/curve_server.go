package bus

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// curveServer is the master's side of one handshake: hello, initiate, ready, in this order.
type curveServer struct {
	key      KeyPair   // S, s
	peer     fleet.Key // C'
	secret   *[32]byte // s'
	cookie   []byte    // the connection keeps its state, so the cookie only comes back and is compared
	received uint64
	session  session
}

// hello takes HELLO and returns WELCOME.
func (h *curveServer) hello(body []byte) ([]byte, error) {
	if len(body) != helloSize || body[0] != 1 || body[1] != 0 {
		return nil, fmt.Errorf("%w: HELLO", errFrame)
	}
	h.peer = fleet.Key(body[74:106])
	h.received = binary.BigEndian.Uint64(body[106:])
	zeros, ok := box.Open(nil, body[114:], shortNonce(prefixHello, h.received), array(&h.peer), h.key.secret())
	if !ok || !same(zeros, make([]byte, 64)) {
		return nil, fmt.Errorf("HELLO: %w", errBox)
	}
	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	h.secret, h.cookie = secret, random(cookieSize)
	nonce := random(16)
	plain := append(public[:], h.cookie...)
	return box.Seal(nonce, plain, longNonce(prefixWelcome, nonce), array(&h.peer), h.key.secret()), nil
}

// initiate takes INITIATE and returns the client's key, which is proven, and what it claims.
func (h *curveServer) initiate(body []byte) (fleet.Key, metadata, error) {
	if len(body) < initiateLeast || !same(body[:cookieSize], h.cookie) {
		return fleet.Key{}, metadata{}, fmt.Errorf("%w: INITIATE", errFrame)
	}
	h.session = session{sendPrefix: prefixServer, recvPrefix: prefixClient}
	box.Precompute(&h.session.key, array(&h.peer), h.secret)
	n := binary.BigEndian.Uint64(body[cookieSize:])
	plain, ok := secretbox.Open(nil, body[initiateHead:], shortNonce(prefixInitiate, n), &h.session.key)
	if !ok || n <= h.received {
		return fleet.Key{}, metadata{}, fmt.Errorf("INITIATE: %w", errBox)
	}
	h.session.received = n
	client := fleet.Key(plain)
	if err := h.checkVouch(client, plain[32:32+vouchSize]); err != nil {
		return fleet.Key{}, metadata{}, err
	}
	claimed, err := parseMetadata(plain[32+vouchSize:])
	return client, claimed, err
}

// checkVouch makes sure that who has the connection's key has the client's lasting key too.
func (h *curveServer) checkVouch(client fleet.Key, vouch []byte) error {
	if degenerate(client) {
		return fmt.Errorf("INITIATE: %w", errBox)
	}
	plain, ok := box.Open(nil, vouch[16:], longNonce(prefixVouch, vouch[:16]), array(&client), h.secret)
	if !ok || !same(plain[:32], h.peer[:]) || !same(plain[32:], h.key.Public[:]) {
		return fmt.Errorf("vouch: %w", errBox)
	}
	return nil
}

// degenerate reports whether k is one of the few points for which everybody knows the shared secret, so that nobody
// has to know the secret half to prove it.
func degenerate(k fleet.Key) bool {
	public, err := ecdh.X25519().NewPublicKey(k[:])
	if err != nil {
		return true
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return true
	}
	_, err = private.ECDH(public)
	return err != nil
}

// ready returns READY.
func (h *curveServer) ready(m metadata) []byte {
	h.session.sent = 1
	nonce := binary.BigEndian.AppendUint64(nil, h.session.sent)
	return secretbox.Seal(nonce, m.marshal(), shortNonce(prefixReady, h.session.sent), &h.session.key)
}
