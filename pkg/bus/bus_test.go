package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
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
	m := &master{key: newKey(t), ids: map[fleet.Key]string{}}
	cfg := ServerConfig{Listen: "127.0.0.1:0", Key: m.key, Authorize: m.authorize}
	cfg.Connected = func(p Peer) { m.note("+", p) }
	cfg.Disconnected = func(p Peer) { m.note("-", p) }
	if change != nil {
		change(&cfg)
	}
	var err error
	if m.Server, err = Listen(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
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

func TestMessagesOfAllSizesGoBothWaysInOrder(t *testing.T) {
	m := startMaster(t, nil)
	c := m.dial(t, m.accept(t, "web1"))
	for _, size := range []int{0, 1, 222, 223, 224, 255, 256, 65535, 65536, 4 << 20} {
		body := bytes.Repeat([]byte{byte(size)}, size)
		send(t, c, body)
		m.expect(t, "web1", body)
		if err := m.Send("web1", body); err != nil {
			t.Fatal(err)
		}
		expectAt(t, c, body)
	}
	for i := range 1000 {
		send(t, c, []byte{byte(i)})
	}
	for i := range 1000 {
		m.expect(t, "web1", []byte{byte(i)})
	}
}

func TestEachMinionGetsItsOwnMessagesOnly(t *testing.T) {
	m := startMaster(t, nil)
	a, b := m.dial(t, m.accept(t, "a")), m.dial(t, m.accept(t, "b"))
	waitFor(t, "both are connected", func() bool { return m.Stats().Connected == 2 })
	for _, id := range []string{"a", "b", "a", "b"} {
		if err := m.Send(id, []byte("for "+id)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		expectAt(t, a, []byte("for a"))
		expectAt(t, b, []byte("for b"))
	}
}

func TestConnectedMinionCanBeSentToAtOnce(t *testing.T) {
	var m *master
	ready := make(chan struct{})
	m = startMaster(t, func(cfg *ServerConfig) {
		cfg.Connected = func(p Peer) {
			<-ready
			if err := m.Send(p.Identity, []byte("welcome")); err != nil {
				t.Error(err)
			}
		}
	})
	close(ready)
	for i := range 20 {
		c := m.dial(t, m.accept(t, fmt.Sprint("m", i)))
		expectAt(t, c, []byte("welcome"))
	}
}

func TestSendToWhoIsNotThereSaysSo(t *testing.T) {
	m := startMaster(t, nil)
	if err := m.Send("nobody", []byte("x")); !errors.Is(err, ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	c := m.dial(t, m.accept(t, "web1"))
	waitFor(t, "it is connected", func() bool { return m.Stats().Connected == 1 })
	c.Close()
	waitFor(t, "it is gone", func() bool { return m.Stats().Connected == 0 })
	if err := m.Send("web1", []byte("x")); !errors.Is(err, ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	if err := m.Send("web1", make([]byte, 17<<20)); !errors.Is(err, ErrTooBig) {
		t.Errorf("got %v", err)
	}
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	m := startMaster(t, nil)
	c := m.dial(t, m.accept(t, "web1"))
	waitFor(t, "it is connected", func() bool { return m.Stats().Connected == 1 })
	body := make([]byte, 1<<20)
	for range 3 {
		send(t, c, body)
		if err := m.Send("web1", body); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan error)
	for range 3 {
		expectAt(t, c, body)
	}
	go func() { closed <- c.Close() }()
	for range 3 {
		m.expect(t, "web1", body)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), body); !errors.Is(err, ErrClosed) {
		t.Errorf("send after close gave %v", err)
	}
	if _, err := c.Recv(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("receive after close gave %v", err)
	}
}

func TestRefusedKeyIsToldSo(t *testing.T) {
	m := startMaster(t, nil)
	_, err := Dial(t.Context(), m.config(newKey(t)))
	if !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	waitFor(t, "it is counted", func() bool { return m.Stats().Refused == 1 })
	if got := m.log(); len(got) > 0 {
		t.Errorf("a refused peer connected: %v", got)
	}
}

func TestWrongMasterKeyIsNamedAsTheReason(t *testing.T) {
	m := startMaster(t, nil)
	cfg := m.config(m.accept(t, "web1"))
	cfg.MasterKey = newKey(t).Public
	_, err := Dial(t.Context(), cfg)
	if !errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), "master_key") {
		t.Errorf("got %v", err)
	}
}

func TestUnreachableMasterIsANetworkError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = Dial(t.Context(), ClientConfig{Master: l.Addr().String(), Key: newKey(t)})
	var op *net.OpError
	if !errors.As(err, &op) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, ClientConfig{Master: l.Addr().String(), Key: newKey(t)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestNewestConnectionOfAKeyWins(t *testing.T) {
	m := startMaster(t, nil)
	key := m.accept(t, "web1")
	const n = 20
	var last *Client
	for i := range n {
		old := last
		last = m.dial(t, key)
		send(t, last, []byte{byte(i)})
		m.expect(t, "web1", []byte{byte(i)})
		if old != nil {
			if _, err := old.Recv(t.Context()); !errors.Is(err, ErrClosed) {
				t.Fatalf("old connection gave %v", err)
			}
		}
		if err := m.Send("web1", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		expectAt(t, last, []byte{byte(i)})
	}
	want := []string{"+web1/1"}
	for i := 2; i <= n; i++ {
		want = append(want, fmt.Sprintf("-web1/%d", i-1), fmt.Sprintf("+web1/%d", i))
	}
	if got := m.log(); !slices.Equal(got, want) {
		t.Errorf("the master was told %v", got)
	}
}

func TestAcceptedKeyLeavesItsGuestConnection(t *testing.T) {
	m := startMaster(t, nil)
	key := m.accept(t, "pending:x")
	old := m.dial(t, key)
	waitFor(t, "it is connected", func() bool { return m.Stats().Connected == 1 })
	m.mu.Lock()
	m.ids[key.Public] = "web1"
	m.mu.Unlock()
	m.dial(t, key)
	if _, err := old.Recv(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	waitFor(t, "the change is told", func() bool { return len(m.log()) == 3 })
	if got := m.log(); !slices.Equal(got, []string{"+pending:x/1", "-pending:x/1", "+web1/2"}) {
		t.Errorf("the master was told %v", got)
	}
}

func TestDisconnectCutsAndARevokedKeyStaysOut(t *testing.T) {
	m := startMaster(t, nil)
	key := m.accept(t, "web1")
	c := m.dial(t, key)
	waitFor(t, "it is connected", func() bool { return m.Stats().Connected == 1 })
	m.mu.Lock()
	delete(m.ids, key.Public)
	m.mu.Unlock()
	m.Disconnect("web1")
	if _, err := c.Recv(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := Dial(t.Context(), m.config(key)); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestDisconnectReachesAPeerInItsHandshake(t *testing.T) {
	asked, revoked := make(chan struct{}), make(chan struct{})
	m := startMaster(t, func(cfg *ServerConfig) {
		cfg.Authorize = func(fleet.Key, net.Addr) (string, error) {
			close(asked)
			<-revoked
			return "web1", nil
		}
	})
	done := make(chan error, 1)
	key := newKey(t)
	go func() {
		c, err := Dial(t.Context(), m.config(key))
		if err == nil {
			_, err = c.Recv(t.Context())
			c.Close()
		}
		done <- err
	}()
	<-asked
	m.Disconnect("web1")
	close(revoked)
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if got := m.log(); len(got) > 0 {
		t.Errorf("a revoked peer connected: %v", got)
	}
}

func TestConnectionIsRecycledWhenItIsOld(t *testing.T) {
	m := startMaster(t, nil)
	cfg := m.config(m.accept(t, "web1"))
	cfg.Limits.MaxAge = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	Stay(ctx, cfg, func(ctx context.Context, c *Client) error {
		if n++; n == 3 {
			cancel()
		}
		_, err := c.Recv(ctx)
		return err
	}, func(err error, _ time.Duration) { t.Errorf("onError was told %v", err) })
	if n != 3 {
		t.Errorf("connected %d times", n)
	}
}

func TestStayComesBackAfterTheMasterWasAway(t *testing.T) {
	m := startMaster(t, nil)
	cfg := m.config(m.accept(t, "web1"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served, failed := make(chan struct{}, 10), make(chan error, 10)
	done := make(chan error)
	go func() {
		done <- Stay(ctx, cfg, func(ctx context.Context, c *Client) error {
			served <- struct{}{}
			_, err := c.Recv(ctx)
			return err
		}, func(err error, next time.Duration) {
			if next <= 0 || next > 45*time.Second {
				t.Errorf("pause of %v", next)
			}
			failed <- err
		})
	}()
	<-served
	m.Close()
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	again, err := Listen(ServerConfig{Listen: cfg.Master, Key: m.key, Authorize: m.authorize})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	<-served
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Stay gave %v", err)
	}
}

// tap forwards one TCP connection and keeps its bytes. While frozen it swallows them.
type tap struct {
	net.Listener
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
	p := &tap{Listener: l}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
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
		if err != nil {
			return
		}
		p.mu.Lock()
		p.bytes.Write(buf[:n])
		frozen := p.frozen
		p.mu.Unlock()
		if !frozen {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

func TestNothingOfAJobIsReadableOnTheWire(t *testing.T) {
	m := startMaster(t, nil)
	p := newTap(t, m.Addr().String())
	cfg := m.config(m.accept(t, "minion-with-a-name"))
	cfg.Master = p.Addr().String()
	c := dialWith(t, cfg)
	job := []byte(`{"id":"job-in-the-clear","function":"deploy.release"}`)
	send(t, c, job)
	m.expect(t, "minion-with-a-name", job)
	if err := m.Send("minion-with-a-name", job); err != nil {
		t.Fatal(err)
	}
	expectAt(t, c, job)
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.bytes.Bytes()
	if !bytes.Contains(seen, []byte("CURVE")) || !bytes.Contains(seen, []byte("\x07MESSAGE")) {
		t.Fatal("the tap saw no CURVE")
	}
	for _, secret := range []string{"job-in-the-clear", "deploy.release", "minion-with-a-name", "DEALER", "ROUTER"} {
		if bytes.Contains(seen, []byte(secret)) {
			t.Errorf("%q is readable on the wire", secret)
		}
	}
	if bytes.Contains(seen, cfg.Key.Public[:]) {
		t.Error("the minion's key is readable on the wire")
	}
}

func TestHalfOpenConnectionIsNoticedOnBothSides(t *testing.T) {
	quick := Limits{Heartbeat: 50 * time.Millisecond, HeartbeatTimeout: 400 * time.Millisecond}
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Limits = quick })
	p := newTap(t, m.Addr().String())
	cfg := m.config(m.accept(t, "web1"))
	cfg.Master, cfg.Limits = p.Addr().String(), quick
	c := dialWith(t, cfg)
	time.Sleep(3 * quick.HeartbeatTimeout) // idle: only heartbeats keep it
	if got := m.log(); !slices.Equal(got, []string{"+web1/1"}) {
		t.Fatalf("while idle the master was told %v", got)
	}
	p.mu.Lock()
	p.frozen = true
	p.mu.Unlock()
	_, err := c.Recv(t.Context())
	if !errors.Is(err, errSilent) {
		t.Errorf("the minion got %v", err)
	}
	waitFor(t, "the master notices", func() bool { return m.Stats().Connected == 0 })
}

func TestBusyReceiverIsNotTakenForADeadOne(t *testing.T) {
	quick := Limits{Heartbeat: 50 * time.Millisecond, HeartbeatTimeout: 300 * time.Millisecond}
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Limits = quick })
	cfg := m.config(m.accept(t, "web1"))
	cfg.Limits = quick
	c := dialWith(t, cfg)
	const n = 500 // more than the queues of the master take without Recv
	go func() {
		for range n {
			if c.Send(t.Context(), make([]byte, 10<<10)) != nil {
				return
			}
		}
	}()
	time.Sleep(4 * quick.HeartbeatTimeout)
	for range n {
		m.expect(t, "web1", make([]byte, 10<<10))
	}
	if got := m.log(); !slices.Equal(got, []string{"+web1/1"}) {
		t.Errorf("the master was told %v", got)
	}
}

func TestKeysDoNotPrintAndOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus.key")
	if _, err := LoadKey(path); err == nil {
		t.Error("a key was loaded from nowhere")
	}
	key, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path)
	if err != nil || again.Public != key.Public || *again.secret() != *key.secret() {
		t.Fatalf("another key after a restart: %v", err)
	}
	type holder struct{ inner KeyPair }
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%s", "%x", "%q"} {
		text := fmt.Sprintf(verb+verb+verb, key, &key, holder{key})
		if strings.Contains(text, fmt.Sprintf("%x", key.secret()[:4])) || strings.Contains(text, strings.Trim(fmt.Sprint(key.secret()[:4]), "[]")) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
