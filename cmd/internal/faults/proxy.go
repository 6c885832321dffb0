// Package faults breaks what lies between a master and its minions, as a seed says: connections are cut, held up, and
// their bytes altered, doubled and put into another order.
package faults

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy stands between minions and their master. All its connections misbehave while Harm is on.
type Proxy struct {
	listener net.Listener
	target   string
	harm     atomic.Bool
	running  sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand            // guarded by mu
	conns map[net.Conn]struct{} // guarded by mu; both sides
	done  bool                  // guarded by mu
}

// Listen opens a proxy on a free port of the loopback.
func Listen(target string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &Proxy{listener: l, target: target, rng: rand.New(rand.NewPCG(seed, seed)), conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where minions connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Harm switches the faults on or off. Connections that they have spoiled are cut when they go off.
func (p *Proxy) Harm(on bool) {
	if p.harm.Swap(on); !on {
		p.Cut()
	}
}

// Cut ends all connections that there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // its copier sees it
	}
}

// Close ends the proxy and waits for its goroutines.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.done = true
	p.mu.Unlock()
	p.Cut()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close() // the minion tries again
			continue
		}
		if !p.keep(client, server) {
			return
		}
		p.running.Go(func() { p.carry(client, server) })
		p.running.Go(func() { p.carry(server, client) })
	}
}

// keep remembers both sides of a connection, unless the proxy is closed.
func (p *Proxy) keep(sides ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range sides {
		if p.done {
			_ = c.Close() // nobody has seen it
			continue
		}
		p.conns[c] = struct{}{}
	}
	return !p.done
}

// carry copies one direction until either side ends, then ends both.
func (p *Proxy) carry(from, to net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close() // the other direction may have closed them
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
		delete(p.conns, to)
	}()
	buf := make([]byte, 4<<10)
	var held []byte
	for {
		n, err := from.Read(buf)
		chunk := buf[:n]
		if n > 0 && p.harm.Load() {
			var cut bool
			if chunk, held, cut = p.spoil(chunk, held); cut {
				return
			}
		}
		if _, werr := to.Write(chunk); werr != nil || err != nil {
			return
		}
	}
}

const maxDelay = 50 * time.Millisecond

// spoil decides what becomes of a chunk. One that is held comes after the next one.
func (p *Proxy) spoil(chunk, held []byte) (send, hold []byte, cut bool) {
	p.mu.Lock()
	fault, delay, at := p.rng.IntN(100), time.Duration(p.rng.Int64N(int64(maxDelay))), p.rng.IntN(len(chunk))
	p.mu.Unlock()
	send = append([]byte(nil), chunk...)
	switch {
	case fault < 4:
		return nil, nil, true
	case fault < 6:
		send[at] ^= 1 << (at % 8)
	case fault < 8:
		send = append(send, chunk...)
	case fault < 10 && held == nil:
		return nil, send, false
	case fault < 40:
		time.Sleep(delay)
	}
	return append(send, held...), nil, false
}

var _ io.Closer = (*Proxy)(nil)
