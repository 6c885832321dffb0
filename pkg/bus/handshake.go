package bus

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// The reasons in an ERROR command, as ZAP (RFC 27) numbers them.
const (
	reasonBusy    = "300"
	reasonRefused = "400"
)

// refusal is why authorize does not let a peer in, with what the peer is told.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// The kinds of sockets.
const (
	kindRouter = "ROUTER"
	kindDealer = "DEALER"
	kindPub    = "PUB"
	kindSub    = "SUB"
	kindXSub   = "XSUB"
)

// talks reports whether a peer of one kind is what a socket of the other is for.
func talks(own, peer string) bool {
	switch own {
	case kindRouter:
		return peer == kindDealer
	case kindDealer:
		return peer == kindRouter
	case kindPub:
		return peer == kindSub || peer == kindXSub
	case kindSub:
		return peer == kindPub
	default:
		return false
	}
}

// serveHandshake runs the side of the socket that listens on raw, read through in; own is its kind. authorize is asked
// once the peer has proven its key and before it is told so; when it refuses, the peer is told that.
func serveHandshake(raw net.Conn, in *bufio.Reader, key KeyPair, own string, authorize func(fleet.Key) *refusal) (session, error) {
	if _, err := raw.Write(greeting("CURVE", true)); err != nil {
		return session{}, err
	}
	if err := readGreeting(in); err != nil {
		return session{}, err
	}
	h := curveServer{key: key}
	body, err := expect(in, "HELLO")
	if err != nil {
		return session{}, err
	}
	welcome, err := h.hello(body)
	if err != nil {
		return session{}, err
	}
	if _, err := raw.Write(commandFrame("WELCOME", welcome)); err != nil {
		return session{}, err
	}
	if body, err = expect(in, "INITIATE"); err != nil {
		return session{}, err
	}
	peer, claims, err := h.initiate(body)
	if err != nil {
		return session{}, err
	}
	if !talks(own, claims.socketType) {
		return session{}, fmt.Errorf("a %.20q does not talk to a %s", claims.socketType, own)
	}
	if r := authorize(peer); r != nil {
		_, err := raw.Write(commandFrame("ERROR", append([]byte{byte(len(r.reason))}, r.reason...)))
		return session{}, errors.Join(r, err)
	}
	_, err = raw.Write(commandFrame("READY", h.ready(metadata{socketType: own})))
	return h.session, err
}

// makeHandshake runs the side of the socket that connects.
func makeHandshake(raw net.Conn, in *bufio.Reader, key KeyPair, own string, master fleet.Key) (session, error) {
	if _, err := raw.Write(greeting("CURVE", false)); err != nil {
		return session{}, err
	}
	if err := readGreeting(in); err != nil {
		return session{}, err
	}
	h := curveClient{key: key, master: master}
	hello, err := h.hello()
	if err != nil {
		return session{}, err
	}
	body, err := ask(raw, in, commandFrame("HELLO", hello), "WELCOME")
	if err != nil {
		return session{}, err
	}
	initiate, err := h.welcome(body, metadata{socketType: own})
	if err != nil {
		return session{}, fmt.Errorf("%w (%w)", ErrHandshake, err)
	}
	if body, err = ask(raw, in, commandFrame("INITIATE", initiate), "READY"); err != nil {
		return session{}, err
	}
	claims, err := h.ready(body)
	if err != nil {
		return session{}, fmt.Errorf("%w (%w)", ErrHandshake, err)
	}
	if !talks(own, claims.socketType) {
		return session{}, fmt.Errorf("a %.20q does not talk to a %s", claims.socketType, own)
	}
	return h.session, nil
}

// ask sends a command and returns the body of the one that answers it. A master that hangs up here did not like our
// command, most likely because it was not made for its key.
func ask(raw net.Conn, in *bufio.Reader, frame []byte, answer string) ([]byte, error) {
	_, err := raw.Write(frame)
	var body []byte
	if err == nil {
		body, err = expect(in, answer)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("%w (%w)", ErrHandshake, err)
	}
	return body, err
}

// expect reads the command name, or the ERROR that comes in its place.
func expect(in *bufio.Reader, name string) ([]byte, error) {
	flags, body, err := readFrame(in, handshakeMost)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	got, data, err := parseCommand(body)
	switch {
	case err != nil || flags != flagCommand:
		return nil, fmt.Errorf("read %s: %w", name, errFrame)
	case got == "ERROR" && string(data) == "\x03"+reasonBusy:
		return nil, ErrBusy
	case got == "ERROR":
		return nil, ErrRefused
	case got != name:
		return nil, fmt.Errorf("read %s: %w: it is %.20q", name, errFrame, got)
	}
	return data, nil
}
