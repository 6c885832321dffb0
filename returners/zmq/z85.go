package zmq

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Z85, https://rfc.zeromq.org/spec/32/: five characters for four bytes.
const (
	z85Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	z85Size     = len(fleet.Key{}) / 4 * 5
)

var errZ85 = errors.New("key is 40 characters long and not Z85: was it copied whole?")

func encodeZ85(k fleet.Key) string {
	var text []byte
	for b := k[:]; len(b) > 0; b = b[4:] {
		n := binary.BigEndian.Uint32(b)
		var five [5]byte
		for i := range five {
			five[4-i] = z85Alphabet[n%85]
			n /= 85
		}
		text = append(text, five[:]...)
	}
	return string(text)
}

func decodeZ85(text string) (k fleet.Key, err error) {
	if len(text) != z85Size {
		return k, errZ85
	}
	for i := range len(k) / 4 {
		var n uint64
		for _, c := range []byte(text[5*i : 5*i+5]) {
			digit := strings.IndexByte(z85Alphabet, c)
			if digit < 0 {
				return k, errZ85
			}
			n = n*85 + uint64(digit)
		}
		if n > 1<<32-1 {
			return k, errZ85
		}
		binary.BigEndian.PutUint32(k[4*i:], uint32(n))
	}
	return k, nil
}
