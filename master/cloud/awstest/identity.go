package awstest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Signer signs instance identity documents, as AWS does in one region.
type Signer struct {
	Certificate string // a PEM file

	key *rsa.PrivateKey
}

// NewSigner makes a signer with a key of its own.
func NewSigner(t testing.TB) Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "aws.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return Signer{Certificate: file, key: key}
}

// Document gives an instance's document and the signature of it, in lines, as the metadata service does.
func (s Signer) Document(t testing.TB, account, region, id string, started time.Time) (document, signature []byte) {
	t.Helper()
	document = fmt.Appendf(nil, "{\n  \"accountId\" : %q,\n  \"instanceId\" : %q,\n  \"pendingTime\" : %q,\n  \"region\" : %q\n}",
		account, id, started.UTC().Format(time.RFC3339), region)
	digest := sha256.Sum256(document)
	raw, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(raw)
	return document, []byte(text[:64] + "\n" + text[64:])
}

// Metadata starts the metadata service of an instance that was started just now, and gives its URL.
func (s Signer) Metadata(t testing.TB, id string) string {
	t.Helper()
	document, signature := s.Document(t, Account, Region, id, time.Now())
	mux := http.NewServeMux()
	answer := func(pattern string, body []byte) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	}
	answer("PUT /latest/api/token", []byte("token"))
	answer("GET /latest/dynamic/instance-identity/document", document)
	answer("GET /latest/dynamic/instance-identity/signature", signature)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
