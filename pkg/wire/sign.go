package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire/keyfile"
)

// jobDomain goes before what is signed, so that a signature of something else is never one of a job.
const jobDomain = "brine job v1\x00"

// ErrSignature refuses a job that the master did not sign.
var ErrSignature = errors.New("signature of the job is wrong")

// SigningKey is the master's Ed25519 key. It does not print. The zero value signs nothing.
type SigningKey struct {
	private func() ed25519.PrivateKey // a function, because fmt prints any field that it can read
}

func newSigningKey(private ed25519.PrivateKey) SigningKey {
	return SigningKey{func() ed25519.PrivateKey { return private }}
}

// GenerateSigningKey returns a new key.
func GenerateSigningKey() (SigningKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return SigningKey{}, fmt.Errorf("generate signing key: %w", err)
	}
	return newSigningKey(private), nil
}

// LoadOrCreateSigningKey returns the key in the file at path, which it makes if it is not there. See package keyfile.
func LoadOrCreateSigningKey(path string) (SigningKey, error) {
	seed, err := keyfile.LoadOrCreate(path, ed25519.SeedSize, func() ([]byte, error) {
		key, err := GenerateSigningKey()
		if err != nil {
			return nil, err
		}
		return key.private().Seed(), nil
	})
	if err != nil {
		return SigningKey{}, fmt.Errorf("signing key: %w", err)
	}
	return newSigningKey(ed25519.NewKeyFromSeed(seed)), nil
}

// Public returns the key that checks what k signs; nil for the zero value.
func (k SigningKey) Public() ed25519.PublicKey {
	if k.private == nil {
		return nil
	}
	return ed25519.PublicKey(k.private()[ed25519.SeedSize:])
}

// String hides the key.
func (SigningKey) String() string { return "**redacted**" }

// GoString hides the key from %#v.
func (SigningKey) GoString() string { return "**redacted**" }

// LogValue hides the key from log/slog.
func (SigningKey) LogValue() slog.Value { return slog.StringValue("**redacted**") }

// Sign returns the bytes of job and their signature.
func Sign(key SigningKey, job fleet.Job) (body, sig []byte, err error) {
	if key.private == nil {
		return nil, nil, errors.New("sign job: no key")
	}
	if body, err = json.Marshal(job); err != nil {
		return nil, nil, fmt.Errorf("encode job: %w", err)
	}
	return body, ed25519.Sign(key.private(), signed(body)), nil
}

// Open returns the job in body if sig is its signature by the key that pub belongs to: ErrSignature otherwise. Whether
// the job is meant for this minion, new, and in time is for the caller to check.
func Open(pub ed25519.PublicKey, body, sig []byte) (fleet.Job, error) {
	message := signed(body)
	if rootSig, root, ok := openTree(body, sig); ok {
		sig, message = rootSig, root
	}
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, message, sig) {
		return fleet.Job{}, ErrSignature
	}
	var job fleet.Job
	if err := json.Unmarshal(body, &job); err != nil {
		return fleet.Job{}, fmt.Errorf("%w: job: %w", ErrMalformed, err)
	}
	return job, nil
}

func signed(body []byte) []byte { return append([]byte(jobDomain), body...) }
