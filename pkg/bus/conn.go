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
// zmq4 has one goroutine that reads and one that writes at a time. What it writes goes into a bounded queue, so that
// Write never waits for the network.
type conn struct {
	net.Conn
	*outbox
	hooks hooks

	// These belong to the reader.
	in       *bufio.Reader
	guest    bool        // few and small messages may come
	window   *window     // nil: whatever comes is passed on
	heard    int         // messages
	toEngine net.Buffers // what zmq4 has still to read
	attached bool

	// These belong to the writer.
	fromEngine []byte // written by zmq4, and not yet a whole frame
	skipped    int    // what zmq4 writes for its own handshake: see Write
}

// hooks tell the owner of a conn about its life. Both are called once, attached first, if at all.
type hooks struct {
	attached func(*conn) // zmq4 routes to the connection from now on; nothing has been read from it yet
	released func(*conn) // zmq4 has let go of it
}

// newConn makes a connection of an outbox and its socket, which in has read so far. zmq4 is told that there is the
// given peer.
func newConn(o *outbox, in *bufio.Reader, peer metadata) *conn {
	c := &conn{Conn: o.raw, outbox: o, in: in}
	c.toEngine = net.Buffers{greeting("NULL", false), commandFrame("READY", peer.marshal())}
	o.listen(in)
	return c
}

// listen makes in give up on a peer that has fallen silent.
func (o *outbox) listen(in *bufio.Reader) {
	in.Reset(&patientReader{o.raw, o.limits.HeartbeatTimeout, buffered(in)})
}

// buffered takes what in holds already.
func buffered(in *bufio.Reader) []byte {
	b, _ := in.Peek(in.Buffered()) //nolint:errcheck // it has them
	return bytes.Clone(b)
}

// patientReader fails when nothing comes for a while. The clock runs only while somebody reads: a peer is not dead
// because this side is busy.
type patientReader struct {
	raw      net.Conn
	patience time.Duration
	first    []byte
}

func (r *patientReader) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	if err := r.raw.SetReadDeadline(time.Now().Add(r.patience)); err != nil {
		return 0, err
	}
	return r.raw.Read(p)
}

// Read gives zmq4 first the handshake that it expects and then one frame for each message. It ends with io.EOF
// whatever happened, because only then zmq4 marks the connection as closed.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.toEngine) == 0 {
		if !c.attached { // zmq4 has registered a connection when it reads past the handshake
			c.attached = true
			if c.hooks.attached != nil {
				c.hooks.attached(c)
			}
		}
		c.window.wait()
		body, err := c.receive()
		if err != nil {
			c.fail(err)
			return 0, io.EOF
		}
		c.window.add(len(body))
		c.toEngine = net.Buffers{appendHeader(nil, header{size: len(body)}), body}
	}
	n, _ := c.toEngine.Read(p) //nolint:errcheck // it is io.EOF when all is read
	return n, nil
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

// receive returns the next message, and answers commands until it comes.
func (c *conn) receive() ([]byte, error) {
	most := c.limits.Message
	if c.guest {
		most = c.limits.GuestMessage
	}
	for {
		inner, err := c.readInner(c.in, most)
		if err != nil {
			return nil, err
		}
		switch inner[0] {
		case innerCommand:
			if err := c.command(inner[1:]); err != nil {
				return nil, err
			}
		case innerMessage:
			if c.heard++; c.guest && c.heard > c.limits.GuestMessages {
				return nil, errGuestTalks
			}
			return inner[1:], nil
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
		o.answer(append([]byte{innerCommand}, command("PONG", data[2:])...))
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

// Write takes what zmq4 writes: a greeting and a READY, which go nowhere, and then frames. It fails with an error that
// is no net.Error, because for one of these zmq4 would redial with its locks held.
func (c *conn) Write(p []byte) (int, error) {
	c.fromEngine = append(c.fromEngine, p...)
	rest := c.fromEngine
	if c.skipped == 0 {
		if len(rest) < greetingSize {
			return len(p), nil
		}
		rest, c.skipped = rest[greetingSize:], 1
	}
	for {
		inner, n, err := c.cut(rest)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		rest = rest[n:]
		if c.skipped == 1 {
			c.skipped = 2
			continue
		}
		if err := c.push(inner); err != nil {
			return 0, err
		}
	}
	c.fromEngine = append(c.fromEngine[:0], rest...)
	if len(rest) == 0 {
		c.fromEngine = nil // an idle connection holds no memory
	}
	return len(p), nil
}

// cut returns the first frame of b as an inner frame, and its length in b; 0 if it is not whole.
func (c *conn) cut(b []byte) (inner []byte, n int, err error) {
	if len(b) == 0 || len(b) < headerSize(b[0]) {
		return nil, 0, nil
	}
	h, err := parseHeader(b, c.limits.Message)
	if err != nil {
		return nil, 0, err
	}
	start := headerSize(b[0])
	if len(b) < start+h.size {
		return nil, 0, nil
	}
	inner = make([]byte, 1, 1+h.size)
	return append(inner, b[start:start+h.size]...), start + h.size, nil
}

// Close is how zmq4 lets go of the connection. What is queued is still sent.
func (c *conn) Close() error {
	if c.release() && c.hooks.released != nil {
		c.hooks.released(c)
	}
	return nil
}
