package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// secretLimit bounds one encrypted value.
const secretLimit = 1 << 20

// Encrypted reports whether a text is an armoured age file.
func Encrypted(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), armor.Header) }

// Decrypt opens an armoured age file that was made for one of the identities, which are lines as age-keygen writes them;
// comments among them are left out. The error says nothing of what is inside.
func Decrypt(armoured, identities string) (string, error) {
	ids, err := age.ParseIdentities(strings.NewReader(identities))
	if err != nil {
		return "", errIdentity
	}
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(strings.TrimSpace(armoured))), ids...)
	if _, wrongKey := errors.AsType[*age.NoIdentityMatchError](err); wrongKey {
		return "", errors.New("decrypt value: it was not made for any of our identities")
	}
	if err != nil {
		return "", fmt.Errorf("decrypt value: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(plain, secretLimit+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("decrypt value: %w", err)
	case len(text) > secretLimit:
		return "", fmt.Errorf("decrypt value: it has more than %d bytes", secretLimit)
	}
	return string(text), nil
}

// Encrypt makes an armoured age file of a text for an identity of NewIdentity.
func Encrypt(text, identity string) (string, error) {
	id, err := age.ParseX25519Identity(identity)
	if err != nil {
		return "", errIdentity
	}
	var out bytes.Buffer
	armoured := armor.NewWriter(&out)
	w, err := age.Encrypt(armoured, id.Recipient())
	if err != nil {
		return "", fmt.Errorf("encrypt value: %w", err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return "", fmt.Errorf("encrypt value: %w", err)
	}
	if err := errors.Join(w.Close(), armoured.Close()); err != nil {
		return "", fmt.Errorf("encrypt value: %w", err)
	}
	return out.String(), nil
}
