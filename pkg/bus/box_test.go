package bus

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/nacl/secretbox"
)

func TestAMessageIsTheBoxOfNaCl(t *testing.T) {
	for _, size := range []int{1, 2, 31, 32, 33, 63, 64, 65, 1000, 70_000} {
		inner := random(size)
		out := session{key: [32]byte(random(32)), sendPrefix: prefixClient, sent: 41}
		in := session{key: out.key, recvPrefix: prefixClient, received: 41}
		sealed := out.seal([]byte("before"), inner)
		message := sealed[len("before")+headerSize(sealed[len("before")]):]
		if n := binary.BigEndian.Uint64(message[len(messageName):]); n != 42 {
			t.Fatalf("nonce %d", n)
		}
		if plain, ok := secretbox.Open(nil, message[messageHead:], shortNonce(prefixClient, 42), &out.key); !ok || !bytes.Equal(plain, inner) {
			t.Fatalf("NaCl does not open %d bytes", size)
		}
		if plain, err := in.open(bytes.Clone(message)); err != nil || !bytes.Equal(plain, inner) {
			t.Fatalf("open %d bytes: %v", size, err)
		}
		if _, err := in.open(bytes.Clone(message)); err == nil {
			t.Fatal("it was opened twice")
		}
		in.received = 41
		message[len(message)-1] ^= 1
		if _, err := in.open(message); err == nil {
			t.Fatal("it was opened though it was altered")
		}
	}
}
