package cloud

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Identity says whose instances may enrol by their identity document.
type Identity struct {
	Accounts     []string       `yaml:"accounts"`     // account ids; nobody may when empty
	Regions      []string       `yaml:"regions"`      // every region when empty
	Certificates []string       `yaml:"certificates"` // PEM files: AWS's certificates for the document's RSA signature, one per region
	MaxAge       fleet.Duration `yaml:"max_age"`      // of the instance since its start; 30 m when zero
}

// maxDocument bounds what a stranger may send; the real ones have some 500 bytes.
const maxDocument = 8 << 10

// skew is how much an instance's start may lie in the future.
const skew = 5 * time.Minute

type verifier struct {
	cfg  Identity
	keys []*rsa.PublicKey
}

func newVerifier(c Identity) (*verifier, error) {
	v := &verifier{cfg: c}
	if len(c.Accounts) == 0 {
		if len(c.Certificates)+len(c.Regions) > 0 {
			return nil, errors.New("identity.accounts is missing: whose instances may enrol")
		}
		return v, nil
	}
	if len(c.Certificates) == 0 {
		return nil, errors.New("identity.certificates is missing: PEM files of AWS's certificates for the RSA signature, from the EC2 User Guide")
	}
	for _, file := range c.Certificates {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("identity.certificates: %w", err)
		}
		before := len(v.keys)
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("identity.certificates: %s: %w", file, err)
			}
			key, ok := cert.PublicKey.(*rsa.PublicKey)
			if !ok {
				return nil, fmt.Errorf("identity.certificates: %s is not one for RSA signatures", file)
			}
			v.keys = append(v.keys, key)
		}
		if len(v.keys) == before {
			return nil, fmt.Errorf("identity.certificates: %s has no certificate in PEM", file)
		}
	}
	return v, nil
}

// identify checks an instance identity document and its signature: that of dynamic/instance-identity/signature, RSA with
// SHA-256 in base64.
func (v *verifier) identify(document, signature []byte, now time.Time) (string, error) {
	if len(v.keys) == 0 {
		return "", errors.New("identity documents are not accepted")
	}
	if len(document) > maxDocument || len(signature) > maxDocument {
		return "", errors.New("identity document is too large")
	}
	if !v.signed(document, signature) {
		return "", errors.New("identity document is not signed by a configured certificate")
	}
	var doc struct {
		AccountID   string    `json:"accountId"`
		Region      string    `json:"region"`
		InstanceID  string    `json:"instanceId"`
		PendingTime time.Time `json:"pendingTime"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return "", fmt.Errorf("read identity document: %w", err)
	}
	age, limit := now.Sub(doc.PendingTime), v.cfg.MaxAge.Or(30*time.Minute)
	switch {
	case !slices.Contains(v.cfg.Accounts, doc.AccountID):
		return "", fmt.Errorf("instance %s is of account %s, which may not enrol", doc.InstanceID, doc.AccountID)
	case len(v.cfg.Regions) > 0 && !slices.Contains(v.cfg.Regions, doc.Region):
		return "", fmt.Errorf("instance %s is in region %s, which may not enrol", doc.InstanceID, doc.Region)
	case !strings.HasPrefix(doc.InstanceID, "i-") || !fleet.ValidName(doc.InstanceID):
		return "", fmt.Errorf("identity document names no instance: %q", doc.InstanceID)
	case age > limit || age < -skew:
		return "", fmt.Errorf("instance %s was started at %s; it may enrol within %s of its start", doc.InstanceID, doc.PendingTime.Format(time.RFC3339), limit)
	}
	return "ec2:" + doc.InstanceID, nil
}

func (v *verifier) signed(document, signature []byte) bool {
	text := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \r\n\t", r) {
			return -1
		}
		return r
	}, string(signature))
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	digest := sha256.Sum256(document)
	return slices.ContainsFunc(v.keys, func(key *rsa.PublicKey) bool {
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) == nil
	})
}
