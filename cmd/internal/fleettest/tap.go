package fleettest

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Tap is a TCP proxy that keeps every byte that goes through it.
type Tap struct {
	Address string

	mu       sync.Mutex
	up, down bytes.Buffer // guarded by mu; to the server and from it, of all connections
}

// StartTap starts a tap in front of a server.
func StartTap(t testing.TB, server string) *Tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap := &Tap{Address: l.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { tap.carry(t.Context(), client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // it ends the loop
		conns.Wait()  // they end with the test's context
	})
	return tap
}

func (t *Tap) carry(ctx context.Context, client net.Conn, server string) {
	defer client.Close() //nolint:errcheck // the other end has seen its end already
	remote, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = remote.Close() })
	defer stop()
	defer remote.Close() //nolint:errcheck // as above
	var both sync.WaitGroup
	for _, way := range []struct {
		from, to net.Conn
		kept     *bytes.Buffer
	}{{client, remote, &t.up}, {remote, client, &t.down}} {
		both.Go(func() {
			_, _ = io.Copy(io.MultiWriter(way.to, &recorder{t, way.kept}), way.from) // an error is an end
			_ = client.Close()
			_ = remote.Close()
		})
	}
	both.Wait()
}

type recorder struct {
	tap *Tap
	to  *bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.tap.mu.Lock()
	defer r.tap.mu.Unlock()
	return r.to.Write(p)
}

// Bytes is what went to the server and what came from it so far.
func (t *Tap) Bytes() (up, down []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.up.Bytes()), bytes.Clone(t.down.Bytes())
}
