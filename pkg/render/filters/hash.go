package filters

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // Salt's filter
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // Salt's filter and uuid5
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// hasher gives one of Python's hashlib, or nil.
func hasher(name string) hash.Hash {
	switch name {
	case "md5":
		return md5.New() //nolint:gosec // Salt's filter
	case "sha1":
		return sha1.New() //nolint:gosec // Salt's filter
	case "sha224":
		return sha256.New224()
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

func digest(name string, b []byte) []byte {
	h := hasher(name)
	if h == nil {
		py.Raise("ValueError", "Invalid hash type: %s", name)
	}
	h.Write(b)
	return h.Sum(nil)
}

// bytesOf gives the bytes of text or bytes.
func bytesOf(v any) []byte {
	if b, ok := v.(py.Bytes); ok {
		return []byte(b)
	}
	s, ok := py.Text(v)
	if !ok {
		if u, undefined := v.(*py.Undefined); undefined {
			u.Raise()
			return nil
		}
		py.Raise("TypeError", "expected str, bytes, or bytearray not <class '%s'>", py.TypeOf(v))
	}
	return []byte(s)
}

func signature(text, secret any) []byte {
	h := hmac.New(sha256.New, bytesOf(secret))
	h.Write(bytesOf(text))
	return h.Sum(nil)
}

func hashing() table {
	all := table{
		"base64_encode": filter("instr", func(c *jinja.Call, b py.Bound) any {
			raw := bytesOf(b[0])
			c.Alloc(2 * len(raw))
			return base64.StdEncoding.EncodeToString(raw)
		}),
		"base64_decode": filter("instr", func(c *jinja.Call, b py.Bound) any {
			text := strings.Join(strings.Fields(string(bytesOf(b[0]))), "")
			c.Alloc(len(text))
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				py.Raise("binascii.Error", "%v", err)
			}
			if !utf8.Valid(raw) {
				return py.Bytes(raw)
			}
			return string(raw)
		}),
		"hmac": filter("string shared_secret challenge_hmac", func(_ *jinja.Call, b py.Bound) any {
			return base64.StdEncoding.EncodeToString(signature(b[0], b[1])) == string(bytesOf(b[2]))
		}),
		"hmac_compute": filter("string shared_secret", func(_ *jinja.Call, b py.Bound) any {
			return hex.EncodeToString(signature(b[0], b[1]))
		}),
		"uuid": filter("val", func(c *jinja.Call, b py.Bound) any { return uuid5(py.Str(c.Run, b[0])) }),
		"random_hash": filter("size? hash_type?", func(_ *jinja.Call, b py.Bound) any {
			most := big.NewInt(int64(max(b.Int(0, 9_999_999_999), 0) + 1))
			n, err := rand.Int(rand.Reader, most)
			must(err)
			kind := "md5"
			if v, ok := py.Text(b.Or(1, nil)); ok {
				kind = v
			}
			return hex.EncodeToString(digest(kind, []byte(n.String())))
		}),
		"random_str": filter("size?", func(c *jinja.Call, b py.Bound) any {
			size := max(b.Int(0, 32), 0)
			c.Alloc(2 * size)
			raw := make([]byte, size)
			_, _ = rand.Read(raw) // never fails
			return base64.StdEncoding.EncodeToString(raw)[:size]
		}),
	}
	all["rand_str"] = all["random_hash"]
	for _, name := range []string{"md5", "sha1", "sha256", "sha512"} {
		all[name] = filter("instr", func(c *jinja.Call, b py.Bound) any {
			raw := bytesOf(b[0])
			c.Step(len(raw) >> 4)
			return hex.EncodeToString(digest(name, raw))
		})
	}
	return all
}

// uuid5 gives a name-based UUID in Salt's own name space.
func uuid5(name string) string {
	space, _ := hex.DecodeString("91633ebf1c865e33935a28061f4b480e")
	sum := digest("sha1", append(space, name...))[:16]
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:])
}
