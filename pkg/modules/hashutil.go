package modules

import (
	"context"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what formulas compare with
	"crypto/sha1" //nolint:gosec // what formulas compare with
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/brine-deploy/brine/pkg/data"
)

// hashes are the checksums that Salt knows and the standard library has.
func hashes() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{
		"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
}

func hashOf(form string) (hash.Hash, error) {
	if made, ok := hashes()[form]; ok {
		return made(), nil
	}
	return nil, fmt.Errorf("%w: unknown checksum %q; known: md5, sha1, sha224, sha256, sha384, sha512", ErrArguments, form)
}

// formOf guesses a checksum's kind from its length.
func formOf(sum string) string {
	for form, made := range hashes() {
		if made().Size()*2 == len(sum) {
			return form
		}
	}
	return "sha256"
}

func digest(form string, text []byte) (string, error) {
	h, err := hashOf(form)
	if err != nil {
		return "", err
	}
	_, _ = h.Write(text) // never an error
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(name, form string) (string, error) {
	h, err := hashOf(form)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("read %s: it is no file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func fileHash(name string, args *data.Map) (any, error) {
	return hashFile(name, stringArg(args, "form", "sha256"))
}

func hashutilFamily() map[string]Function {
	one := func(doc, form string) Function {
		return Function{Doc: doc, Params: []string{"instr"}, Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
			return digest(form, []byte(stringArg(args, "instr", "")))
		}}
	}
	return map[string]Function{
		"hashutil.md5_digest":    one("The MD5 checksum of a text.\ninstr\n  hashutil.md5_digest hello", "md5"),
		"hashutil.sha256_digest": one("The SHA-256 checksum of a text.\ninstr\n  hashutil.sha256_digest hello", "sha256"),
		"hashutil.sha512_digest": one("The SHA-512 checksum of a text.\ninstr\n  hashutil.sha512_digest hello", "sha512"),
		"hashutil.digest": {
			Doc: "A checksum of a text.\ninstr; checksum (md5)\n  hashutil.digest hello sha256", Params: []string{"instr", "checksum"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return digest(stringArg(args, "checksum", "md5"), []byte(stringArg(args, "instr", "")))
			},
		},
		"hashutil.digest_file": {
			Doc: "A checksum of a file.\ninfile; checksum (md5)\n  hashutil.digest_file /etc/hosts sha256", Params: []string{"infile", "checksum"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return hashFile(stringArg(args, "infile", ""), stringArg(args, "checksum", "md5"))
			},
		},
		"hashutil.hmac_signature": {
			Doc: "Whether a text has a signature: HMAC with SHA-256, in base64.\nstring; shared_secret; challenge_hmac\n  hashutil.hmac_signature text secret c2ln", Params: []string{"string", "shared_secret", "challenge_hmac"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				h := hmac.New(sha256.New, []byte(stringArg(args, "shared_secret", "")))
				_, _ = h.Write([]byte(stringArg(args, "string", ""))) // never an error
				want, err := base64.StdEncoding.DecodeString(stringArg(args, "challenge_hmac", ""))
				return err == nil && hmac.Equal(want, h.Sum(nil)), nil
			},
		},
		"hashutil.base64_b64encode": {
			Doc: "A text in base64.\ninstr\n  hashutil.base64_b64encode hello", Params: []string{"instr"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return base64.StdEncoding.EncodeToString([]byte(stringArg(args, "instr", ""))), nil
			},
		},
		"hashutil.base64_b64decode": {
			Doc: "The text that is in base64.\ninstr\n  hashutil.base64_b64decode aGVsbG8=", Params: []string{"instr"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				text, err := base64.StdEncoding.DecodeString(stringArg(args, "instr", ""))
				return string(text), err
			},
		},
	}
}
