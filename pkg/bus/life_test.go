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

	"github.com/brine-deploy/brine/pkg/fleet"
)

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

func TestConnectionsThatBeganTogetherAreNotRecycledTogether(t *testing.T) {
	const day = 24 * time.Hour
	first, last := 2*day, time.Duration(0)
	for range 200 {
		raw, _ := net.Pipe()
		var work sync.WaitGroup
		limits := Limits{}.withDefaults()
		o := newOutbox(raw, session{}, &limits, &work)
		age := time.Until(o.retire)
		o.kill(ErrClosed)
		first, last = min(first, age), max(last, age)
	}
	if first < day*9/10-time.Minute || last > day*11/10 || last-first < day/10 {
		t.Errorf("they live for %v to %v", first, last)
	}
}

func TestOldConnectionSendsWhatIsQueuedFirst(t *testing.T) {
	m := startMaster(t, nil)
	cfg := m.config(m.accept(t, "web1"))
	c := dialWith(t, cfg)
	body := make([]byte, 1<<20)
	for range 3 {
		send(t, c, body)
	}
	o := c.conn.outbox
	o.mu.Lock()
	o.retire = time.Now()
	o.mu.Unlock()
	o.beat()
	if err := c.Send(t.Context(), body); !errors.Is(err, errRecycled) {
		t.Errorf("send on an old connection gave %v", err)
	}
	for range 3 {
		m.expect(t, "web1", body)
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
	quick := Limits{Heartbeat: 50 * time.Millisecond, HeartbeatTimeout: time.Second}
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Limits = quick })
	p := newTap(t, m.Addr().String())
	cfg := m.config(m.accept(t, "web1"))
	cfg.Master, cfg.Limits = p.Addr().String(), quick
	c := dialWith(t, cfg)
	time.Sleep(2 * quick.HeartbeatTimeout) // idle: only heartbeats keep it
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
	quick := Limits{Heartbeat: 50 * time.Millisecond, HeartbeatTimeout: time.Second}
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
	time.Sleep(2 * quick.HeartbeatTimeout)
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
		if strings.Contains(text, fmt.Sprintf("%x", key.secret()[:4])) || strings.Contains(text, strings.Trim(fmt.Sprintf("%d", key.secret()[:4]), "[]")) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestChaosKeepsTheOrderOfEventsAndLeavesNothingBehind(t *testing.T) {
	m := startMaster(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m.echo(t)
	var work sync.WaitGroup
	work.Go(func() {
		for began := time.Now(); ctx.Err() == nil && (time.Since(began) < time.Second || len(m.log()) < 20); time.Sleep(10 * time.Millisecond) {
		}
		cancel()
	})
	for n := range 10 {
		id := fmt.Sprint("m", n)
		key := m.accept(t, id)
		for range 2 { // which take the connection from each other
			work.Go(func() {
				for ctx.Err() == nil {
					c, err := Dial(ctx, m.config(key))
					if err != nil {
						continue
					}
					for range 20 {
						if c.Send(ctx, make([]byte, 20<<10)) != nil {
							break
						}
					}
					_, _ = c.Recv(ctx)
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		work.Go(func() {
			for ctx.Err() == nil {
				m.Disconnect(id)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	work.Wait()
	waitFor(t, "all are gone", func() bool { return m.Stats().Connected == 0 })
	now := map[string]string{} // the connection of each identity
	for _, e := range m.log() {
		id, number, _ := strings.Cut(e[1:], "/")
		want := number
		if e[0] == '+' {
			want = ""
		}
		if now[id] != want {
			t.Fatalf("%s while the connection is %q", e, now[id])
		}
		if now[id] = number; e[0] == '-' {
			now[id] = ""
		}
	}
	if len(m.log()) < 20 {
		t.Errorf("only %d events", len(m.log()))
	}
}
