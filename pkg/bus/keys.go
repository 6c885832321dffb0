package bus

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"log/slog"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire/keyfile"
)

// KeyPair is a CURVE key. Its secret half does not print. The zero value is no key.
type KeyPair struct {
	Public fleet.Key
	secret func() *[32]byte // a function, because fmt prints any field that it can read
}

// GenerateKey returns a new key.
func GenerateKey() (KeyPair, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return KeyPair{}, fmt.Errorf("generate key: %w", err)
	}
	return newKeyPair(private), nil
}

// LoadKey returns the key in the file at path: base64 of its secret half, readable by its owner only.
func LoadKey(path string) (KeyPair, error) {
	return parseKey(keyfile.Load(path, 32))
}

// LoadOrCreateKey is LoadKey that makes the file, mode 0600, if there is none.
func LoadOrCreateKey(path string) (KeyPair, error) {
	return parseKey(keyfile.LoadOrCreate(path, 32, func() ([]byte, error) {
		private, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return private.Bytes(), nil
	}))
}

func parseKey(secret []byte, err error) (KeyPair, error) {
	if err != nil {
		return KeyPair{}, fmt.Errorf("bus key: %w", err)
	}
	private, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return KeyPair{}, fmt.Errorf("bus key: %w", err)
	}
	return newKeyPair(private), nil
}

func newKeyPair(private *ecdh.PrivateKey) KeyPair {
	secret := [32]byte(private.Bytes())
	return KeyPair{Public: fleet.Key(private.PublicKey().Bytes()), secret: func() *[32]byte { return &secret }}
}

// String shows the fingerprint only.
func (k KeyPair) String() string { return string(k.Public.Fingerprint()) }

// GoString shows the fingerprint only.
func (k KeyPair) GoString() string { return k.String() }

// LogValue shows the fingerprint only.
func (k KeyPair) LogValue() slog.Value { return slog.StringValue(k.String()) }
