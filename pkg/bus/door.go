package bus

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/pkg/quiet"
)

// door accepts TCP connections, so many at a time until they have proven a key, and so many of each address. While all
// places are taken, who takes longer than Limits.HandshakeHurry makes room: a good handshake needs three round trips.
type door struct {
	listener net.Listener
	limits   Limits
	slots    chan struct{}
	enter    enter
	rejected *quiet.Summary
	counters struct{ handshakes, failed, refused, turnedAway, hurried, acceptErrors atomic.Uint64 }
	work     sync.WaitGroup

	mu     sync.Mutex
	known  map[netip.Prefix]int // guarded by mu
	inside *list.List           // guarded by mu; of callers, the oldest first
}

// enter runs the handshake with who is at the door. It takes the connection over and says what remains to be done with
// it, or fails.
type enter func(raw net.Conn) (then func(context.Context), err error)

// caller is who has not proven a key yet.
type caller struct {
	raw   net.Conn
	since time.Time
}

// DoorStats counts what happens before a connection has proven a key.
type DoorStats struct {
	Handshakes   uint64 // connections that proved a key
	Failed       uint64 // connections that did not
	Refused      uint64 // of keys that may not connect, and of peers too many
	TurnedAway   uint64 // connections from an address that had too many handshakes
	Hurried      uint64 // of Failed: handshakes that took too long while all places were taken
	AcceptErrors uint64 // times that no connection could be accepted, most likely for want of descriptors
}

func newDoor(l net.Listener, limits Limits, tell func(counts ...any), enter enter) *door {
	return &door{
		listener: l, limits: limits, slots: make(chan struct{}, limits.Handshakes), enter: enter, rejected: quiet.New(tell),
		known: map[netip.Prefix]int{}, inside: list.New(),
	}
}

func (d *door) stats() DoorStats {
	c := &d.counters
	return DoorStats{
		Handshakes: c.handshakes.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		TurnedAway: c.turnedAway.Load(), Hurried: c.hurried.Load(), AcceptErrors: c.acceptErrors.Load(),
	}
}

// run accepts until ctx is done, and returns when all handshakes have ended.
func (d *door) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { d.listener.Close() }) //nolint:errcheck // that is what it is for
	defer stop()
	defer d.listener.Close() //nolint:errcheck // most likely it is closed already
	defer d.work.Wait()
	var pause time.Duration
	for d.place(ctx) {
		raw, err := d.listener.Accept()
		if err != nil { // out of descriptors, most likely: that is no reason to spin, or to give up
			<-d.slots
			if ctx.Err() != nil {
				return
			}
			d.counters.acceptErrors.Add(1)
			d.rejected.Note("accept_errors", "last_error", err)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
				continue
			case <-ctx.Done():
				return
			}
		}
		pause = 0
		d.work.Go(func() {
			defer func() { <-d.slots }()
			d.admit(ctx, raw)
		})
	}
}

// place waits for a place, and reports whether it got one before ctx was done.
func (d *door) place(ctx context.Context) bool {
	select {
	case d.slots <- struct{}{}:
		return ctx.Err() == nil
	default:
	}
	for wait := d.untilHurry(); ; wait = d.limits.HandshakeHurry {
		select {
		case d.slots <- struct{}{}:
			return true
		case <-ctx.Done():
			return false
		case <-time.After(wait):
			d.hurry()
		}
	}
}

// untilHurry is how long the oldest handshake may still go on while others wait.
func (d *door) untilHurry() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.inside.Front(); e != nil {
		return d.limits.HandshakeHurry - time.Since(e.Value.(*caller).since)
	}
	return d.limits.HandshakeHurry
}

// hurry ends the oldest handshake if it takes too long.
func (d *door) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.inside.Front()
	if e == nil {
		return
	}
	if c := e.Value.(*caller); time.Since(c.since) >= d.limits.HandshakeHurry {
		d.inside.Remove(e)
		d.counters.hurried.Add(1)
		c.raw.Close() //nolint:errcheck // its handshake fails now
	}
}

func (d *door) admit(ctx context.Context, raw net.Conn) {
	from := prefix(raw.RemoteAddr())
	if !d.count(from, 1) {
		d.counters.turnedAway.Add(1)
		d.rejected.Note("turned_away", "last_from", raw.RemoteAddr().String())
		raw.Close() //nolint:errcheck // nothing was sent
		return
	}
	defer d.count(from, -1)
	stop := context.AfterFunc(ctx, func() { raw.Close() }) //nolint:errcheck // that is what it is for
	defer stop()
	proven := d.list(raw)
	then, err := d.enter(raw)
	proven()
	d.judge(raw, err)
	if err == nil {
		then(ctx)
	}
}

// judge counts how a handshake has ended.
func (d *door) judge(raw net.Conn, err error) {
	kind, counter := "failed", &d.counters.failed
	_, refused := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		d.counters.handshakes.Add(1)
		return
	case refused:
		kind, counter = "refused", &d.counters.refused
	}
	raw.Close() //nolint:errcheck // it is of no use any more
	counter.Add(1)
	d.rejected.Note(kind, "last_from", raw.RemoteAddr().String(), "last_error", err)
}

// list puts a connection among those that can be hurried.
func (d *door) list(raw net.Conn) (unlist func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.inside.PushBack(&caller{raw, time.Now()})
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inside.Remove(e)
	}
}

// count adds n to the handshakes of an address, unless these are too many already.
func (d *door) count(from netip.Prefix, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[from]+n > d.limits.HandshakesPerAddress {
		return false
	}
	if d.known[from] += n; d.known[from] == 0 {
		delete(d.known, from)
	}
	return true
}

// prefix is what counts as one address: with IPv6 a /64, all of which one host may have.
func prefix(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) //nolint:errcheck // bits fit
	return p
}
