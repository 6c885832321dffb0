// Package archive turns a directory into the archive of a revision and back: a reproducible tar.zst, named by the SHA-256
// of its bytes, and sealed with age before it leaves the master. Unpacking trusts nothing in an archive.
package archive

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// NewIdentity makes a new age identity: the secret text that opens what was sealed for it.
func NewIdentity() (string, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("make age identity: %w", err)
	}
	return identity.String(), nil
}

// errIdentity takes the place of age's own error, which may quote the secret.
var errIdentity = errors.New("not an age identity (AGE-SECRET-KEY-1...)")

// Seal encrypts what is written to it, so that identity opens it. Closing it writes the end, without which the sealed
// bytes are worth nothing; w stays open.
func Seal(w io.Writer, identity string) (io.WriteCloser, error) {
	id, err := age.ParseX25519Identity(identity)
	if err != nil {
		return nil, errIdentity
	}
	sealed, err := age.Encrypt(w, id.Recipient())
	if err != nil {
		return nil, fmt.Errorf("seal archive: %w", err)
	}
	return sealed, nil
}

// ErrAltered says that what was read is not what Seal wrote.
var ErrAltered = errors.New("sealed archive was altered")

// Open decrypts what Seal made. Every byte that the returned reader gives is authentic, and it gives io.EOF only at the
// end that Seal wrote. Errors are r's, or ErrAltered.
func Open(r io.Reader, identity string) (io.Reader, error) {
	id, err := age.ParseX25519Identity(identity)
	if err != nil {
		return nil, errIdentity
	}
	sealed := &remembering{r: r}
	plain, err := age.Decrypt(sealed, id)
	if _, wrongKey := errors.AsType[*age.NoIdentityMatchError](err); wrongKey {
		return nil, fmt.Errorf("open sealed archive: it was sealed for another identity: %w", err)
	}
	if err != nil {
		return nil, sealed.blame(fmt.Errorf("open sealed archive: %w", err))
	}
	return &opened{plain, sealed}, nil
}

// opened tells what is wrong with the sealed bytes from what is wrong with their reader.
type opened struct {
	plain  io.Reader
	sealed *remembering
}

func (o *opened) Read(b []byte) (int, error) {
	n, err := o.plain.Read(b)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, o.sealed.blame(err)
}

// blame says that the bytes are altered, unless they could not be read.
func (m *remembering) blame(err error) error {
	if m.err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAltered, err)
}
