package bus

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// door accepts TCP connections, so many at a time until they have proven a key, and so many of each address.
type door struct {
	listener   net.Listener
	slots      chan struct{}
	perAddress int
	enter      func(ctx context.Context, raw net.Conn) // runs the handshake; takes the connection over
	turnedAway func(from net.Addr)

	mu    sync.Mutex
	known map[netip.Prefix]int // guarded by mu
	work  sync.WaitGroup
}

// run accepts until ctx is done, and returns when all handshakes have ended.
func (d *door) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { d.listener.Close() }) //nolint:errcheck // that is what it is for
	defer stop()
	defer d.listener.Close() //nolint:errcheck // most likely it is closed already
	defer d.work.Wait()
	var pause time.Duration
	for {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		raw, err := d.listener.Accept()
		if err != nil { // out of descriptors, most likely: that is no reason to spin, or to give up
			<-d.slots
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

func (d *door) admit(ctx context.Context, raw net.Conn) {
	from := prefix(raw.RemoteAddr())
	if !d.count(from, 1) {
		d.turnedAway(raw.RemoteAddr())
		raw.Close() //nolint:errcheck // nothing was sent
		return
	}
	defer d.count(from, -1)
	stop := context.AfterFunc(ctx, func() { raw.Close() }) //nolint:errcheck // that is what it is for
	defer stop()
	d.enter(ctx, raw)
}

// count adds n to the handshakes of an address, unless these are too many already.
func (d *door) count(from netip.Prefix, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[from]+n > d.perAddress {
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
