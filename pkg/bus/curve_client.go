package bus

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// curveClient is the minion's side of one handshake: hello, welcome, ready, in this order.
type curveClient struct {
	key     KeyPair   // C, c
	master  fleet.Key // S
	public  *[32]byte // C'
	secret  *[32]byte // c'
	session session
}

// hello returns HELLO.
func (h *curveClient) hello() ([]byte, error) {
	var err error
	if h.public, h.secret, err = box.GenerateKey(rand.Reader); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	body := make([]byte, 74, helloSize) // version 1.0 and 72 bytes, so that HELLO is no shorter than WELCOME
	body[0] = 1
	body = append(body, h.public[:]...)
	body = binary.BigEndian.AppendUint64(body, 1)
	return box.Seal(body, make([]byte, 64), shortNonce(prefixHello, 1), array(&h.master), h.secret), nil
}

// welcome takes WELCOME, which only the master with the pinned key can have made, and returns INITIATE.
func (h *curveClient) welcome(body []byte, m metadata) ([]byte, error) {
	if len(body) != welcomeSize {
		return nil, fmt.Errorf("%w: WELCOME", errFrame)
	}
	plain, ok := box.Open(nil, body[16:], longNonce(prefixWelcome, body[:16]), array(&h.master), h.secret)
	if !ok {
		return nil, fmt.Errorf("WELCOME: %w", errBox)
	}
	server, cookie := fleet.Key(plain), plain[32:]
	h.session = session{sent: 2, sendPrefix: prefixClient, recvPrefix: prefixServer}
	box.Precompute(&h.session.key, array(&server), h.secret)

	nonce := random(16)
	vouched := append(h.public[:], h.master[:]...)
	vouch := box.Seal(nonce, vouched, longNonce(prefixVouch, nonce), array(&server), h.key.secret())

	secret := append(append(h.key.Public[:], vouch...), m.marshal()...)
	initiate := binary.BigEndian.AppendUint64(cookie, h.session.sent)
	return secretbox.Seal(initiate, secret, shortNonce(prefixInitiate, h.session.sent), &h.session.key), nil
}

// ready takes READY and returns what the master says of itself.
func (h *curveClient) ready(body []byte) (metadata, error) {
	if len(body) < 8+secretbox.Overhead {
		return metadata{}, fmt.Errorf("%w: READY", errFrame)
	}
	h.session.received = binary.BigEndian.Uint64(body)
	plain, ok := secretbox.Open(nil, body[8:], shortNonce(prefixReady, h.session.received), &h.session.key)
	if !ok {
		return metadata{}, fmt.Errorf("READY: %w", errBox)
	}
	return parseMetadata(plain)
}
