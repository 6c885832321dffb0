package fleet

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
)

// The names of things. They are types so that the compiler knows the order of arguments.
type (
	// MinionID names one host's agent. See [ValidName].
	MinionID string
	// AppName names an application.
	AppName string
	// GroupName names a deployment group inside its application.
	GroupName string
	// DeploymentID is unique and sorts by the time of creation.
	DeploymentID string
	// JobID is unique. The same job published twice keeps its id and runs once.
	JobID string
	// Digest is the lower-case hex SHA-256 of a revision's archive before encryption. It names the revision.
	Digest string
)

// Short is the form of a digest for people: its first 12 characters.
func (d Digest) Short() string { return string(d[:min(12, len(d))]) }

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// ValidName reports whether s can name a minion, an application or a group: 1 to 128 letters, digits, dots, dashes
// and underscores, the first a letter or digit. Such a name is safe as one path component and in every protocol here.
func ValidName(s string) bool { return validName.MatchString(s) }

var validDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Valid reports whether d has the form of a digest, which makes it safe as a file name and an object key.
func (d Digest) Valid() bool { return validDigest.MatchString(string(d)) }

// Key is a CURVE (Curve25519) public key, 32 bytes.
type Key [32]byte

// Fingerprint is a key's digest as people compare it: "SHA256:" and unpadded base64, as ssh-keygen prints it.
type Fingerprint string

// Fingerprint returns the fingerprint of k.
func (k Key) Fingerprint() Fingerprint {
	sum := sha256.Sum256(k[:])
	return Fingerprint("SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]))
}

// MarshalText encodes the key as standard base64.
func (k Key) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, k[:]), nil
}

// UnmarshalText decodes what MarshalText made.
func (k *Key) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(b) != len(k) {
		return fmt.Errorf("key is not base64 of %d bytes", len(k))
	}
	copy(k[:], b)
	return nil
}
