package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// master is a Server in a test, with the keys that it accepts.
type master struct {
	*Server
	key KeyPair

	mu     sync.Mutex
	ids    map[fleet.Key]string // guarded by mu
	events []string             // guarded by mu
}

func newKey(t testing.TB) KeyPair {
	t.Helper()
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func startMaster(t testing.TB, change func(*ServerConfig)) *master {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	m, err := newMaster(change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func newMaster(change func(*ServerConfig)) (*master, error) {
	key, err := GenerateKey()
	if err != nil {
		return nil, err
	}
	m := &master{key: key, ids: map[fleet.Key]string{}}
	cfg := ServerConfig{Listen: "127.0.0.1:0", Key: m.key, Authorize: m.authorize}
	cfg.Connected = func(p Peer) { m.note("+", p) }
	cfg.Disconnected = func(p Peer) { m.note("-", p) }
	if change != nil {
		change(&cfg)
	}
	m.Server, err = Listen(cfg)
	return m, err
}

func (m *master) authorize(key fleet.Key, _ net.Addr) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id, ok := m.ids[key]; ok {
		return id, nil
	}
	return "", errors.New("key is not accepted")
}

func (m *master) note(what string, p Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, fmt.Sprintf("%s%s/%d", what, p.Identity, p.Number))
}

func (m *master) log() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// accept makes a key that the master knows by id.
func (m *master) accept(t testing.TB, id string) KeyPair {
	key := newKey(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids[key.Public] = id
	return key
}

func (m *master) config(key KeyPair) ClientConfig {
	return ClientConfig{Master: m.Addr().String(), Key: key, MasterKey: m.key.Public}
}

func (m *master) dial(t testing.TB, key KeyPair) *Client {
	t.Helper()
	return dialWith(t, m.config(key))
}

func dialWith(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (m *master) expect(t testing.TB, from string, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	id, got, err := m.Recv(ctx)
	if err != nil || id != from || !bytes.Equal(got, body) {
		t.Fatalf("master received %.40q (%d bytes) from %q, %v; want %.40q (%d bytes) from %q", got, len(got), id, err, body, len(body), from)
	}
}

func expectAt(t testing.TB, c *Client, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := c.Recv(ctx)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("minion received %.40q (%d bytes), %v; want %.40q (%d bytes)", got, len(got), err, body, len(body))
	}
}

func send(t testing.TB, c *Client, body []byte) {
	t.Helper()
	if err := c.Send(t.Context(), body); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until what is true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 10 s not yet: %s", what)
		}
	}
}

// echo sends back what comes.
func (m *master) echo(t *testing.T) (froms <-chan string) {
	seen := make(chan string, 100)
	go func() {
		for {
			from, body, err := m.Recv(t.Context())
			if err != nil {
				return
			}
			select {
			case seen <- from:
			default:
			}
			if err := m.Send(from, body); err != nil && !errors.Is(err, ErrNotConnected) {
				t.Error(err)
			}
		}
	}()
	return seen
}

// tap forwards TCP connections and keeps their bytes. While frozen it swallows all, the end of a connection too.
type tap struct {
	net.Listener
	over   chan struct{}
	mu     sync.Mutex
	bytes  bytes.Buffer // guarded by mu
	frozen bool         // guarded by mu
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{Listener: l, over: make(chan struct{})}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); close(p.over); work.Wait() })
	work.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				a.Close()
				continue
			}
			work.Go(func() { p.copy(a, b) })
			work.Go(func() { p.copy(b, a) })
		}
	})
	return p
}

func (p *tap) copy(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 4096)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		p.bytes.Write(buf[:n])
		frozen := p.frozen
		p.mu.Unlock()
		if frozen {
			<-p.over
		}
		if err != nil {
			return
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return
		}
	}
}
