package bus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ZMTP 3.1, https://rfc.zeromq.org/spec/37/: greeting, frames, commands, metadata.

// Flags of a frame.
const (
	flagMore    = 1
	flagLong    = 2 // the size has 8 bytes; never in a header of ours
	flagCommand = 4
)

const greetingSize = 64

func greeting(mechanism string, server bool) []byte {
	b := make([]byte, greetingSize)
	b[0], b[8], b[9], b[10], b[11] = 0xff, 1, 0x7f, 3, 1 // signature, version 3.1
	copy(b[12:32], mechanism)
	if server {
		b[32] = 1
	}
	return b
}

// readGreeting reads the greeting of a peer that has to speak CURVE. Its flag for servers is not looked at: libzmq never
// sets it.
func readGreeting(r io.Reader) error {
	var b [greetingSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("read greeting: %w", err)
	}
	switch mechanism := strings.TrimRight(string(b[12:32]), "\x00"); {
	case b[0] != 0xff || b[9] != 0x7f || b[10] < 3:
		return errors.New("the peer does not speak ZMTP 3")
	case mechanism != "CURVE":
		return fmt.Errorf("the peer wants the mechanism %q, not CURVE", mechanism)
	}
	return nil
}

// header is the header of a frame: its flags without flagLong, and the bytes that follow.
type header struct {
	flags byte
	size  int
}

// headerSize tells how long the header is that starts with first.
func headerSize(first byte) int {
	if first&flagLong != 0 {
		return maxHeader
	}
	return 2
}

const maxHeader = 9

// parseHeader reads a header of headerSize(b[0]) bytes. A frame of more than most bytes is refused.
func parseHeader(b []byte, most int) (header, error) {
	size := uint64(b[1])
	if b[0]&flagLong != 0 {
		size = binary.BigEndian.Uint64(b[1:])
	}
	if b[0]&^(flagMore|flagLong|flagCommand) != 0 {
		return header{}, errFrame
	}
	if size > uint64(most) {
		return header{}, fmt.Errorf("%w: claims %d bytes, allowed are %d", ErrTooBig, size, most)
	}
	return header{b[0] &^ flagLong, int(size)}, nil
}

func appendHeader(dst []byte, h header) []byte {
	if h.size > 255 {
		return binary.BigEndian.AppendUint64(append(dst, h.flags|flagLong), uint64(h.size))
	}
	return append(dst, h.flags, byte(h.size))
}

// readFrame reads one frame of at most most bytes.
func readFrame(r *bufio.Reader, most int) (flags byte, body []byte, err error) {
	first, err := r.Peek(1)
	if err != nil {
		return 0, nil, err
	}
	b, err := r.Peek(headerSize(first[0]))
	if err != nil {
		return 0, nil, err
	}
	h, err := parseHeader(b, most)
	if err != nil {
		return 0, nil, err
	}
	if _, err := r.Discard(len(b)); err != nil {
		return 0, nil, err
	}
	body, err = readBody(r, h.size)
	return h.flags, body, err
}

// readBody reads n bytes. It takes memory as they come: a claim alone costs nothing.
func readBody(r io.Reader, n int) ([]byte, error) {
	const step = 256 << 10
	body := make([]byte, 0, min(n, step))
	for len(body) < n {
		more := min(n-len(body), max(step, len(body)))
		body = slices.Grow(body, more)
		if _, err := io.ReadFull(r, body[len(body):len(body)+more]); err != nil {
			return nil, err
		}
		body = body[:len(body)+more]
	}
	return body, nil
}

// command returns the body of a command frame.
func command(name string, data []byte) []byte {
	b := make([]byte, 0, 1+len(name)+len(data))
	return append(append(append(b, byte(len(name))), name...), data...)
}

// parseCommand is the inverse of command.
func parseCommand(body []byte) (name string, data []byte, err error) {
	if len(body) == 0 || body[0] == 0 || int(body[0]) > len(body)-1 {
		return "", nil, fmt.Errorf("%w: command without a name", errFrame)
	}
	end := 1 + int(body[0])
	return string(body[1:end]), body[end:], nil
}

// commandFrame returns a whole frame with a command.
func commandFrame(name string, data []byte) []byte {
	body := command(name, data)
	return append(appendHeader(nil, header{flagCommand, len(body)}), body...)
}

// metadata is what a peer says of itself. The identity is only a claim.
type metadata struct {
	socketType, identity string
}

func (m metadata) marshal() []byte {
	var b []byte
	for _, p := range [][2]string{{"Socket-Type", m.socketType}, {"Identity", m.identity}} {
		b = append(append(b, byte(len(p[0]))), p[0]...)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p[1]))), p[1]...)
	}
	return b
}

// parseMetadata reads the properties in b; those that it does not know are ignored.
func parseMetadata(b []byte) (m metadata, err error) {
	for len(b) > 0 {
		name := int(b[0])
		if name == 0 || len(b) < 1+name+4 {
			return m, fmt.Errorf("%w: metadata", errFrame)
		}
		value := binary.BigEndian.Uint32(b[1+name:])
		rest := b[1+name+4:]
		if uint64(value) > uint64(len(rest)) {
			return m, fmt.Errorf("%w: metadata", errFrame)
		}
		switch strings.ToLower(string(b[1 : 1+name])) {
		case "socket-type":
			m.socketType = string(rest[:value])
		case "identity":
			m.identity = string(rest[:value])
		}
		b = rest[value:]
	}
	return m, nil
}
