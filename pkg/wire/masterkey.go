package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// MasterKey is what a minion has to know of its master to trust it: the key of the bus and the key that signs jobs.
type MasterKey struct {
	Bus  fleet.Key
	Sign ed25519.PublicKey
}

const (
	masterPrefix   = "brine1:"
	masterKeyBytes = 32 + ed25519.PublicKeySize
	checksumBytes  = 4
)

var masterEncoding = base64.RawURLEncoding.Strict()

// String returns the key as one line of text: a prefix, then base64url of both keys and a checksum.
func (k MasterKey) String() string {
	b := append(k.Bus[:], k.Sign...)
	return masterPrefix + masterEncoding.EncodeToString(append(b, checksum(b)...))
}

// ParseMasterKey reads what String wrote. Space around it is ignored; a typo is found.
func ParseMasterKey(text string) (MasterKey, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), masterPrefix)
	if !ok {
		return MasterKey{}, fmt.Errorf("a master key starts with %q", masterPrefix)
	}
	want := masterEncoding.EncodedLen(masterKeyBytes + checksumBytes)
	if len(encoded) != want {
		return MasterKey{}, fmt.Errorf("a master key has %d characters after %q, this has %d: was it copied whole?", want, masterPrefix, len(encoded))
	}
	b, err := masterEncoding.DecodeString(encoded)
	if err != nil {
		if at, ok := errors.AsType[base64.CorruptInputError](err); ok {
			return MasterKey{}, fmt.Errorf("character %d of the master key cannot be in one", len(masterPrefix)+int(at)+1)
		}
		return MasterKey{}, fmt.Errorf("decode master key: %w", err)
	}
	keys, sum := b[:masterKeyBytes], b[masterKeyBytes:]
	if !bytes.Equal(sum, checksum(keys)) {
		return MasterKey{}, errors.New("the master key's checksum is wrong: there is a typo in it")
	}
	return MasterKey{Bus: fleet.Key(keys[:32]), Sign: ed25519.PublicKey(keys[32:])}, nil
}

// MarshalText encodes the key as String does.
func (k MasterKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText decodes the key as ParseMasterKey does.
func (k *MasterKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParseMasterKey(string(text))
	return err
}

func checksum(keys []byte) []byte {
	sum := sha256.Sum256(append([]byte(masterPrefix), keys...))
	return sum[:checksumBytes]
}
