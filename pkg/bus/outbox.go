package bus

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// outbox is the sending half of a connection, and its life.
//
//	open --shut--> draining --all sent, and zmq4 has let go--> closed
//	   \------------kill------------------------------------/
//
// One goroutine at a time sends: who has pushed while nobody did, or one that exists only while there is something to send.
type outbox struct {
	raw     net.Conn
	session *session
	limits  *Limits         // shared
	work    *sync.WaitGroup // of the owner, who holds a count until the connection is released
	room    chan struct{}   // gets a token whenever there may be room in the queue; nil: nobody waits, a full queue ends the connection
	done    chan struct{}   // closed when the connection is

	direct syscall.RawConn // who pushes tries to send at once, without waiting for the network; nil: flush does it

	counting time.Time // the reader's; since when commands are counted
	commands int       // the reader's

	mu       sync.Mutex
	state    state
	cause    error // why it is not open any more
	queue    []frame
	bytes    int  // of the queue and of what is being sent
	inFlight int  // bytes being sent
	sending  bool // flush runs
	released bool // zmq4 has let go
	timer    *time.Timer
	retire   time.Time
}

// frame is an inner frame that waits to be sent.
type frame struct {
	kind byte
	body []byte
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

// push queues a message, whose body must not be changed any more.
func (o *outbox) push(body []byte) error {
	o.mu.Lock()
	defer o.unlock()
	if o.state != stateOpen {
		return o.cause
	}
	if o.room == nil && o.full() {
		o.close(errOverflow)
		return o.cause
	}
	o.add(frame{innerMessage, body})
	return nil
}

// offer queues inner frames if there is room, all or none, and reports whether there was.
func (o *outbox) offer(frames ...frame) bool {
	o.mu.Lock()
	defer o.unlock()
	if o.state != stateOpen || o.full() {
		return false
	}
	for _, f := range frames {
		o.add(f)
	}
	return true
}

// answer is offer for the PONG to a PING. While the other side sends PINGs this one need not: with a PONG for each, both
// know that the connection lives, at half the cost.
func (o *outbox) answer(pong []byte) {
	o.mu.Lock()
	defer o.unlock()
	if o.state != stateOpen {
		return
	}
	if !o.full() {
		o.add(frame{innerCommand, pong})
	}
	o.timer.Reset(min(o.limits.Heartbeat*5/4, max(time.Until(o.retire), 0)))
}

// full reports whether nothing more may be queued. The message that makes it full is the last to get in, so that one
// of any size can be sent.
func (o *outbox) full() bool {
	return len(o.queue) >= o.limits.QueueMessages || o.bytes >= o.limits.QueueBytes
}

func (o *outbox) add(f frame) {
	o.queue, o.bytes = append(o.queue, f), o.bytes+1+len(f.body)
}

// unlock lets go of mu, and sees to it that what was added is sent.
func (o *outbox) unlock() {
	start := len(o.queue) > 0 && !o.sending
	o.sending = o.sending || start
	direct := o.direct != nil && o.bytes <= flushBatch
	if start {
		o.work.Add(1) // while the owner holds a count
	}
	o.mu.Unlock()
	switch {
	case start && direct:
		o.sendNow()
	case start:
		go o.flush(nil)
	}
}

// wait returns when there is room for a message. Only one goroutine at a time may wait and then push.
func (o *outbox) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		full, err := o.full(), error(nil)
		if o.state != stateOpen {
			err = o.cause
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

// flush sends rest, and then until the queue is empty.
func (o *outbox) flush(rest []byte) {
	defer o.work.Done()
	if len(rest) > 0 {
		o.sent(o.write(rest))
	}
	var buf []byte
	for {
		batch := o.take()
		if batch == nil {
			return
		}
		buf = o.seal(buf[:0], batch)
		o.sent(o.write(buf))
	}
}

// sendNow sends until the queue is empty or the network would make it wait. Then flush goes on.
func (o *outbox) sendNow() {
	a := attempts.Get().(*attempt)
	defer attempts.Put(a)
	for {
		if o.isLarge() {
			go o.flush(nil)
			return
		}
		batch := o.take()
		if batch == nil {
			o.work.Done()
			return
		}
		a.bytes = o.seal(a.bytes[:0], batch)
		n, err := a.write(o.direct)
		if err != nil {
			o.sent(err)
		} else if n < len(a.bytes) {
			rest := bytes.Clone(a.bytes[n:])
			go o.flush(rest)
			return
		}
	}
}

// isLarge reports whether what waits is too much for who pushes.
func (o *outbox) isLarge() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes-o.inFlight > flushBatch
}

func (o *outbox) sent(err error) {
	if err != nil {
		o.kill(fmt.Errorf("write: %w", err))
	}
}

// seal encrypts a batch, which it empties, and appends that to buf.
func (o *outbox) seal(buf []byte, batch []frame) []byte {
	size := 0
	for _, f := range batch {
		size += len(f.body) + messageOverhead + maxHeader
	}
	buf = slices.Grow(buf, size)
	for i, f := range batch {
		buf = o.session.sealFrame(buf, f)
		batch[i].body = nil
	}
	return buf
}

// take returns what to send next; nil, and flush is over, when there is nothing.
func (o *outbox) take() []frame {
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
	for n < len(o.queue) && (n == 0 || o.inFlight+1+len(o.queue[n].body) <= flushBatch) {
		o.inFlight += 1 + len(o.queue[n].body)
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
	if o.direct != nil { // which has no limit of its own
		return o.raw.SetWriteDeadline(time.Time{})
	}
	return nil
}

// beat sends a PING, unless something is being sent anyway, and ends a connection that has lived long enough.
func (o *outbox) beat() {
	o.mu.Lock()
	defer o.unlock()
	if o.state != stateOpen {
		return
	}
	if time.Now().After(o.retire) {
		o.drain(errRecycled)
		return
	}
	if !o.sending {
		o.add(frame{innerCommand, command("PING", []byte{0, 0})})
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
