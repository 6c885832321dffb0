package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// What a message may be. They hold before the msgpack library sees a byte: it allocates what a count claims.
const (
	// MaxSize bounds a message in bytes.
	MaxSize = 16 << 20
	// maxDepth bounds how deep lists and maps are nested.
	maxDepth = 64
	// maxNodes bounds the values in a message, since a value of one byte can become a hundred in memory.
	maxNodes = 1 << 16
)

// guard refuses bytes that are not exactly one msgpack map, well formed and within the limits. Extension types are
// refused: the library skips their header in front of a map, and so would read other counts than the guard has seen.
func guard(b []byte) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%w: %d bytes are more than %d", ErrMalformed, len(b), MaxSize)
	}
	if len(b) == 0 || b[0]&0xf0 != 0x80 && b[0] != 0xde && b[0] != 0xdf {
		return fmt.Errorf("%w: not a map", ErrMalformed)
	}
	s := scanner{rest: b}
	if err := s.value(0); err != nil {
		return err
	}
	if len(s.rest) > 0 {
		return fmt.Errorf("%w: %d bytes after its end", ErrMalformed, len(s.rest))
	}
	return nil
}

type scanner struct {
	rest  []byte
	nodes int
}

// value skips one value.
func (s *scanner) value(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxDepth)
	}
	if s.nodes++; s.nodes > maxNodes {
		return fmt.Errorf("%w: more than %d values", ErrMalformed, maxNodes)
	}
	code, err := s.uint(1)
	if err != nil {
		return err
	}
	switch {
	case code <= 0x7f, code >= 0xe0: // a small number
		return nil
	case code <= 0x8f:
		return s.values(2*(code&0x0f), depth)
	case code <= 0x9f:
		return s.values(code&0x0f, depth)
	case code <= 0xbf:
		return s.skip(code & 0x1f)
	}
	switch code {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return nil
	case 0xc4, 0xc5, 0xc6: // bin
		return s.sized(1<<(code-0xc4), s.skip)
	case 0xca, 0xcb: // float
		return s.skip(4 << (code - 0xca))
	case 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3: // unsigned, signed
		return s.skip(1 << (code & 3))
	case 0xd9, 0xda, 0xdb: // string
		return s.sized(1<<(code-0xd9), s.skip)
	case 0xdc, 0xdd: // list
		return s.sized(2<<(code-0xdc), func(n uint64) error { return s.values(n, depth) })
	case 0xde, 0xdf: // map
		return s.sized(2<<(code-0xde), func(n uint64) error { return s.values(2*n, depth) })
	default:
		return fmt.Errorf("%w: code %#x is not allowed", ErrMalformed, code)
	}
}

// values skips n values that are inside one at depth.
func (s *scanner) values(n uint64, depth int) error {
	if n > uint64(len(s.rest)) {
		return fmt.Errorf("%w: claims %d values in %d bytes", ErrMalformed, n, len(s.rest))
	}
	for range n {
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// sized reads a count of width bytes and gives it to next.
func (s *scanner) sized(width int, next func(uint64) error) error {
	n, err := s.uint(width)
	if err != nil {
		return err
	}
	return next(n)
}

// quickHead reads the version and the type of a message that has passed the guard, if all is as this package writes it: a small
// map, short names, a small version, a short type. It is not ok for others.
func quickHead(b []byte) (head envelope, ok bool) {
	if b[0]&0xf0 != 0x80 {
		return head, false
	}
	s := scanner{rest: b[1:]}
	for range b[0] & 0x0f {
		name, ok := s.short()
		if !ok {
			return head, false
		}
		switch string(name) {
		case "v":
			n, err := s.uint(1)
			if err != nil || n > 0x7f {
				return head, false
			}
			head.Version = int(n)
		case "t":
			kind, ok := s.short()
			if !ok {
				return head, false
			}
			head.Type = string(kind)
		default:
			if s.value(1) != nil {
				return head, false
			}
		}
	}
	return head, true
}

// short reads a string of less than 32 bytes.
func (s *scanner) short() ([]byte, bool) {
	if len(s.rest) == 0 || s.rest[0]&0xe0 != 0xa0 {
		return nil, false
	}
	n := 1 + int(s.rest[0]&0x1f)
	if n > len(s.rest) {
		return nil, false
	}
	text := s.rest[1:n]
	s.rest = s.rest[n:]
	return text, true
}

func (s *scanner) skip(n uint64) error {
	if n > uint64(len(s.rest)) {
		return fmt.Errorf("%w: claims %d bytes where %d are left", ErrMalformed, n, len(s.rest))
	}
	s.rest = s.rest[n:]
	return nil
}

// uint reads an unsigned number of 1, 2 or 4 bytes.
func (s *scanner) uint(width int) (uint64, error) {
	if len(s.rest) < width {
		return 0, fmt.Errorf("%w: cut off", ErrMalformed)
	}
	var b [8]byte
	copy(b[8-width:], s.rest)
	s.rest = s.rest[width:]
	return binary.BigEndian.Uint64(b[:]), nil
}

// plainGrains gives the numbers of grains the types that package fleet promises.
func plainGrains(g fleet.Grains) fleet.Grains {
	for name, v := range g {
		g[name] = plain(v)
	}
	return g
}

func plain(v any) any {
	switch v := v.(type) {
	case uint64:
		if v > math.MaxInt64 {
			return float64(v)
		}
		return int64(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
		return v
	default:
		return v
	}
}
