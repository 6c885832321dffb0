package bus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// conn is the net.Conn that zmq4 uses: plain ZMTP with the NULL mechanism on zmq4's side, CURVE on the wire. Its peer
// is authenticated before zmq4 sees it.
//
// zmq4 reads messages from it. What is sent goes past zmq4 into a bounded queue, see push: the connection is known, and
// zmq4 would look for it among all, start a goroutine, and copy the message twice.
type conn struct {
	net.Conn
	*outbox
	hooks hooks

	// These belong to the reader.
	in       *frames
	guest    bool    // few and small messages may come
	window   *window // nil: whatever comes is passed on
	heard    int     // messages
	toEngine []byte  // what zmq4 has to read next
	inner    []byte  // and then, see session.check; nil: nothing
	header   [maxHeader]byte
	attached bool
}

// hooks tell the owner of a conn about its life. Both are called once, attached first, if at all.
type hooks struct {
	attached func(*conn) // zmq4 routes to the connection from now on; nothing has been read from it yet
	released func(*conn) // zmq4 has let go of it
}

// newConn makes a connection of an outbox and its socket, which in has read so far. zmq4 is told that there is the
// given peer.
func newConn(o *outbox, in *bufio.Reader, peer metadata) *conn {
	c := &conn{Conn: o.raw, outbox: o, in: newFrames(o.patient(in))}
	c.toEngine = append(greeting("NULL", false), commandFrame("READY", peer.marshal())...)
	return c
}

// patient goes on where in has got to, and gives up on a peer that has fallen silent.
func (o *outbox) patient(in *bufio.Reader) io.Reader {
	return &patientReader{raw: o.raw, patience: o.limits.HeartbeatTimeout, first: buffered(in)}
}

// buffered takes what in holds already.
func buffered(in *bufio.Reader) []byte {
	b, _ := in.Peek(in.Buffered()) //nolint:errcheck // it has them
	return bytes.Clone(b)
}

// patientReader fails when nothing comes for a while. The clock runs only while somebody reads: a peer is not dead
// because this side is busy. The deadline is not moved for each read, so a little patience may be missing.
type patientReader struct {
	raw      net.Conn
	patience time.Duration
	first    []byte
	since    time.Time // when the deadline was moved
}

func (r *patientReader) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	if now := time.Now(); now.Sub(r.since) > r.patience/32 {
		if err := r.raw.SetReadDeadline(now.Add(r.patience)); err != nil {
			return 0, err
		}
		r.first, r.since = nil, now
	}
	return r.raw.Read(p)
}

// Read gives zmq4 first the handshake that it expects and then one frame for each message. It ends with io.EOF
// whatever happened, because only then zmq4 marks the connection as closed.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.toEngine) == 0 && c.inner != nil {
		return c.readBody(p), nil
	}
	if len(c.toEngine) == 0 {
		if !c.attached { // zmq4 has registered a connection when it reads past the handshake
			c.attached = true
			if c.hooks.attached != nil {
				c.hooks.attached(c)
			}
		}
		c.window.wait()
		inner, err := c.receive()
		if err != nil {
			c.fail(err)
			return 0, io.EOF
		}
		size := len(inner) - 1
		c.window.add(size)
		c.toEngine = appendHeader(c.header[:0], header{size: size})
		if size > 0 {
			c.inner = inner
		}
	}
	n := copy(p, c.toEngine)
	c.toEngine = c.toEngine[n:]
	return n, nil
}

// readBody decrypts a message into the memory that zmq4 has made for it.
func (c *conn) readBody(p []byte) int {
	inner, size := c.inner, len(c.inner)-1
	c.inner = nil
	if len(p) >= size {
		c.session.decrypt(p[:size], inner)
		return size
	}
	c.session.decrypt(inner[1:], inner)
	n := copy(p, inner[1:])
	c.toEngine = inner[1+n:]
	return n
}

// fail ends the connection after a failed read: in peace if the peer did so.
func (o *outbox) fail(err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF):
		o.shut(errHungUp)
	case errors.As(err, &timeout) && timeout.Timeout():
		o.kill(errSilent)
	default:
		o.kill(err)
	}
}

// readInner returns the next inner frame of a connection; its body has at most most bytes.
func (o *outbox) readInner(in *bufio.Reader, most int) ([]byte, error) {
	flags, body, err := readFrame(in, most+messageOverhead)
	if err != nil {
		return nil, err
	}
	if flags&flagMore != 0 {
		return nil, errFrame
	}
	return o.session.open(body)
}

// receive returns the next message, which is still to be decrypted, and answers commands until it comes.
func (c *conn) receive() ([]byte, error) {
	most := c.limits.Message
	if c.guest {
		most = c.limits.GuestMessage
	}
	for {
		flags, body, err := c.in.next(most + messageOverhead)
		if err != nil {
			return nil, err
		}
		if flags&flagMore != 0 {
			return nil, errFrame
		}
		inner, err := c.session.check(body)
		if err != nil {
			return nil, err
		}
		switch inner[0] {
		case innerCommand:
			c.session.decrypt(inner[1:], inner)
			if err := c.command(inner[1:]); err != nil {
				return nil, err
			}
		case innerMessage:
			if c.heard++; c.guest && c.heard > c.limits.GuestMessages {
				return nil, errGuestTalks
			}
			return inner, nil
		default:
			return nil, fmt.Errorf("%w: a message has one part", errFrame)
		}
	}
}

// command obeys a command that any peer may send.
func (o *outbox) command(body []byte) error {
	name, data, err := parseCommand(body)
	if err != nil {
		return err
	}
	if err := o.countCommand(time.Now()); err != nil {
		return err
	}
	switch name {
	case "PING": // two bytes of time to live, and up to 16 that come back
		if len(data) < 2 || len(data) > 18 {
			return fmt.Errorf("%w: PING", errFrame)
		}
		o.answer(command("PONG", data[2:]))
		return nil
	case "ERROR":
		return io.EOF
	default: // a PONG has done its work by coming
		return nil
	}
}

// countCommand ends a connection whose peer does nothing but send commands, which keeps this side busy for nothing.
func (o *outbox) countCommand(now time.Time) error {
	if now.Sub(o.counting) > o.limits.Heartbeat {
		o.counting, o.commands = now, 0
	}
	if o.commands++; o.commands > o.limits.Commands {
		return errCommands
	}
	return nil
}

// Write takes what zmq4 writes: the greeting and the READY of its own handshake, which go nowhere. Messages go past it, see
// push. It never fails, because zmq4 would let go of a connection without closing it.
func (c *conn) Write(p []byte) (int, error) { return len(p), nil }

// Close is how zmq4 lets go of the connection. What is queued is still sent.
func (c *conn) Close() error {
	if c.release() && c.hooks.released != nil {
		c.hooks.released(c)
	}
	return nil
}
