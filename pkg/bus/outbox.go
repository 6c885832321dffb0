package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// outbox is the sending half of a connection, and its life.
//
//	open --shut--> draining --all sent, and zmq4 has let go--> closed
//	   \------------kill------------------------------------/
//
// A goroutine that sends exists only while there is something to send.
type outbox struct {
	raw     net.Conn
	session *session
	limits  *Limits         // shared
	work    *sync.WaitGroup // of the owner, who holds a count until the connection is released
	room    chan struct{}   // gets a token whenever there may be room in the queue; nil: nobody waits, a full queue ends the connection
	done    chan struct{}   // closed when the connection is

	counting time.Time // the reader's; since when commands are counted
	commands int       // the reader's

	mu       sync.Mutex
	state    state
	cause    error // why it is not open any more
	queue    [][]byte
	bytes    int  // of the queue and of what is being sent
	inFlight int  // bytes being sent
	sending  bool // flush runs
	released bool // zmq4 has let go
	timer    *time.Timer
	retire   time.Time
}

type state int

const (
	stateOpen state = iota
	stateDraining
	stateClosed
)

func newOutbox(raw net.Conn, s session, limits *Limits, work *sync.WaitGroup) *outbox {
	o := &outbox{raw: raw, session: &s, limits: limits, work: work, done: make(chan struct{})}
	o.retire = time.Now().Add(jitter(limits.MaxAge, 0.1))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer = time.AfterFunc(o.untilBeat(), o.beat)
	return o
}

// waitForRoom makes senders wait while the queue is full; without it a full queue cuts the connection.
func (o *outbox) waitForRoom() {
	o.mu.Lock() // the timer runs already
	defer o.mu.Unlock()
	o.room = make(chan struct{}, 1)
}

func (o *outbox) untilBeat() time.Duration {
	return min(jitter(o.limits.Heartbeat, 0.2), max(time.Until(o.retire), 0))
}

// jitter returns d give or take a share of it.
func jitter(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*rand.Float64()-1)))
}

// push queues an inner frame with a message.
func (o *outbox) push(inner []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != stateOpen {
		return o.gone()
	}
	if o.room == nil && o.full() {
		o.close(errOverflow)
		return o.gone()
	}
	o.add(inner)
	return nil
}

// offer queues inner frames if there is room, all or none, and reports whether there was.
func (o *outbox) offer(frames ...[]byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != stateOpen || o.full() {
		return false
	}
	for _, inner := range frames {
		o.add(inner)
	}
	return true
}

// answer is offer for the PONG to a PING. While the other side sends PINGs this one need not: with a PONG for each, both
// know that the connection lives, at half the cost.
func (o *outbox) answer(pong []byte) {
	o.offer(pong)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == stateOpen {
		o.timer.Reset(min(o.limits.Heartbeat*5/4, max(time.Until(o.retire), 0)))
	}
}

// full reports whether nothing more may be queued. The message that makes it full is the last to get in, so that one
// of any size can be sent.
func (o *outbox) full() bool {
	return len(o.queue) >= o.limits.QueueMessages || o.bytes >= o.limits.QueueBytes
}

func (o *outbox) add(inner []byte) {
	o.queue, o.bytes = append(o.queue, inner), o.bytes+len(inner)
	if !o.sending {
		o.sending = true
		o.work.Go(o.flush)
	}
}

// wait returns when there is room for a message. Only one goroutine at a time may wait and then push.
func (o *outbox) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		full, err := o.full(), error(nil)
		if o.state != stateOpen {
			err = o.gone()
		}
		o.mu.Unlock()
		if !full || err != nil {
			return err
		}
		select {
		case <-o.room:
		case <-o.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flushBatch is how much is encrypted and written at once.
const flushBatch = 64 << 10

// flush sends until the queue is empty.
func (o *outbox) flush() {
	var buf []byte
	for {
		batch := o.take()
		if batch == nil {
			return
		}
		size := 0
		for _, inner := range batch {
			size += len(inner) + messageOverhead + maxHeader
		}
		buf = slices.Grow(buf[:0], size)
		for i, inner := range batch {
			buf = o.session.seal(buf, inner)
			batch[i] = nil
		}
		if err := o.write(buf); err != nil {
			o.kill(fmt.Errorf("write: %w", err))
		}
	}
}

// take returns what to send next; nil, and flush is over, when there is nothing.
func (o *outbox) take() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes, o.inFlight = o.bytes-o.inFlight, 0
	o.wake()
	if o.state == stateClosed || len(o.queue) == 0 {
		o.sending, o.queue = false, nil
		o.drained()
		return nil
	}
	n := 0
	for n < len(o.queue) && (n == 0 || o.inFlight+len(o.queue[n]) <= flushBatch) {
		o.inFlight += len(o.queue[n])
		n++
	}
	batch := o.queue[:n:n]
	o.queue = o.queue[n:]
	return batch
}

func (o *outbox) wake() {
	select {
	case o.room <- struct{}{}:
	default:
	}
}

// write sends b in pieces, each within the time limit: what is large is not what is slow.
func (o *outbox) write(b []byte) error {
	for len(b) > 0 {
		if err := o.raw.SetWriteDeadline(time.Now().Add(o.limits.WriteTimeout)); err != nil {
			return err
		}
		n, err := o.raw.Write(b[:min(len(b), flushBatch)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// beat sends a PING, unless something is being sent anyway, and ends a connection that has lived long enough.
func (o *outbox) beat() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != stateOpen {
		return
	}
	if time.Now().After(o.retire) {
		o.drain(errRecycled)
		return
	}
	if !o.sending {
		o.add(append([]byte{innerCommand}, command("PING", []byte{0, 0})...))
	}
	o.timer.Reset(o.untilBeat())
}

// shut ends the connection in peace: what is queued is sent, then the peer is told that nothing more comes, then what
// it has still to say is read. All this within CloseTimeout.
func (o *outbox) shut(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drain(cause)
}

// kill ends the connection now.
func (o *outbox) kill(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.close(cause)
}

// release notes that zmq4 has let go of the connection, and reports whether this is the first time.
func (o *outbox) release() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.released
	o.released = true
	o.drain(errClosedHere)
	if !o.sending {
		o.close(errClosedHere)
	}
	return first
}

// end returns why messages cannot be sent any more; nil while they can.
func (o *outbox) end() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cause
}

// The rest is called with mu held.

// gone is an error that is no net.Error, whatever the cause is: see conn.Write.
func (o *outbox) gone() error { return &goneError{o.cause} }

type goneError struct{ cause error }

func (e *goneError) Error() string { return e.cause.Error() }

func (o *outbox) drain(cause error) {
	if o.state != stateOpen {
		return
	}
	o.state, o.cause = stateDraining, cause
	o.timer.Stop()
	o.timer = time.AfterFunc(o.limits.CloseTimeout, func() { o.kill(cause) })
	o.wake()
	if !o.sending {
		o.drained()
	}
}

// drained goes on after the last byte was sent.
func (o *outbox) drained() {
	if o.state != stateDraining {
		return
	}
	half, ok := o.raw.(interface{ CloseWrite() error })
	if o.released || !ok || half.CloseWrite() != nil {
		o.close(o.cause)
	}
}

func (o *outbox) close(cause error) {
	if o.state == stateClosed {
		return
	}
	if o.state == stateOpen {
		o.cause = cause
	}
	o.state, o.queue = stateClosed, nil
	o.timer.Stop()
	close(o.done)
	o.raw.Close() //nolint:errcheck // nothing depends on it
}
