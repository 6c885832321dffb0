package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

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

func TestMasterThatClosesSendsWhatIsQueued(t *testing.T) {
	m := startMaster(t, nil)
	c := m.dial(t, m.accept(t, "web1"))
	waitFor(t, "it is connected", func() bool { return m.Stats().Connected == 1 })
	body := make([]byte, 1<<20)
	for range 3 {
		if err := m.Send("web1", body); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan error)
	go func() { closed <- m.Close() }()
	for range 3 {
		expectAt(t, c, body)
	}
	if _, err := c.Recv(t.Context()); err == nil {
		t.Error("it received more than was sent")
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
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
