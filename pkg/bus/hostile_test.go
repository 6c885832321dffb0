package bus

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// intruder is a peer that speaks bytes, not messages.
type intruder struct {
	net.Conn
	in      *bufio.Reader
	session session
}

// knock connects from an address of its own.
func (m *master) knock(t testing.TB, from string) *intruder {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := d.DialContext(t.Context(), "tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return &intruder{Conn: raw, in: bufio.NewReader(raw)}
}

// enter connects and proves a key.
func (m *master) enter(t testing.TB, key KeyPair) *intruder {
	t.Helper()
	i := m.knock(t, "127.0.0.1")
	var err error
	if i.session, err = makeHandshake(i.Conn, i.in, key, kindDealer, m.key.Public); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *intruder) say(bytes ...[]byte) {
	for _, b := range bytes {
		i.Write(b) //nolint:errcheck // it may be cut off already
	}
}

// cutOff reports whether the master hangs up.
func (i *intruder) cutOff() bool {
	i.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // then the read fails
	_, err := io.Copy(io.Discard, i.in)
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// works makes sure that a good minion gets in and is served.
func (m *master) works(t *testing.T, id string) {
	t.Helper()
	start := time.Now()
	c := m.dial(t, m.accept(t, id))
	send(t, c, []byte("hello"))
	m.expect(t, id, []byte("hello"))
	if err := m.Send(id, []byte("job")); err != nil {
		t.Fatal(err)
	}
	expectAt(t, c, []byte("job"))
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a good minion waited %v", took)
	}
	c.Close()
}

func hugeFrame(flags byte) []byte {
	return binary.BigEndian.AppendUint64([]byte{flags | flagLong}, 1<<60)
}

func TestWhoProvesNoKeyDisturbsNobody(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) {
		cfg.Limits.HandshakeTimeout = 4 * time.Second
		cfg.Limits.Handshakes = 1000
		cfg.Limits.HandshakesPerAddress = 400
	})
	m.works(t, "before")
	before := heapInUse()
	hello := greeting("CURVE", false)
	attacks := [][]byte{
		{},                      // says nothing
		hello[:32],              // half a greeting
		greeting("NULL", false), // another mechanism
		[]byte(strings.Repeat("GET / HTTP/1.1\r\n", 10)),
		append(hello, hugeFrame(flagCommand)...),
		append(hello, commandFrame("READY", metadata{"DEALER", "web1"}.marshal())...),
		append(hello, commandFrame("HELLO", make([]byte, helloSize))...),
		append(hello, commandFrame("INITIATE", make([]byte, initiateLeast))...),
		append(hello, flagCommand, 3, 200, 'x', 'y'), // a name longer than the command
		append(hello, flagCommand, 0),                // an empty command
	}
	for i := range 300 {
		m.knock(t, "127.0.0.2").say(attacks[i%len(attacks)])
	}
	if grown := heapInUse() - before; grown > 8<<20 {
		t.Errorf("300 strangers cost %d KiB", grown>>10)
	}
	m.works(t, "during")
	waitFor(t, "all strangers are gone", func() bool { return m.Stats().Failed == 300 })
	for _, e := range m.log() {
		if !strings.Contains(e, "before") && !strings.Contains(e, "during") {
			t.Errorf("a stranger got in: %s", e)
		}
	}
}

func TestFloodFromOneAddressLeavesRoomForOthers(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Limits.Handshakes, cfg.Limits.HandshakesPerAddress = 20, 10 })
	for range 100 {
		m.knock(t, "127.0.0.2") // and says nothing
	}
	m.works(t, "web1")
	waitFor(t, "the flood is turned away", func() bool { return m.Stats().TurnedAway == 90 })
}

func TestAcceptedMinionThatBreaksTheProtocolIsCutAndHarmsNobody(t *testing.T) {
	m := startMaster(t, nil)
	good := m.dial(t, m.accept(t, "good"))
	attacks := map[string]func(*intruder){
		"claims 2^60 bytes":      func(i *intruder) { i.say(hugeFrame(0)) },
		"sends a NULL message":   func(i *intruder) { i.say([]byte("\x00\x05hello")) },
		"unknown frame flags":    func(i *intruder) { i.say([]byte("\xf8\x05hello")) },
		"a message in parts":     func(i *intruder) { i.say(i.session.seal(nil, []byte("\x01part"))) },
		"a frame that has more":  func(i *intruder) { b := i.session.seal(nil, []byte("\x00x")); b[0] |= flagMore; i.say(b) },
		"unknown inner flags":    func(i *intruder) { i.say(i.session.seal(nil, []byte("\x80x"))) },
		"an altered message":     func(i *intruder) { b := i.session.seal(nil, []byte("\x00x")); b[len(b)-1] ^= 1; i.say(b) },
		"a command without name": func(i *intruder) { i.say(i.session.seal(nil, []byte{innerCommand})) },
		"a name that overruns":   func(i *intruder) { i.say(i.session.seal(nil, []byte{innerCommand, 9, 'P'})) },
		"a long PING": func(i *intruder) {
			i.say(i.session.seal(nil, append([]byte{innerCommand}, command("PING", make([]byte, 19))...)))
		},
		"a message too big": func(i *intruder) {
			for b := i.session.seal(nil, make([]byte, 17<<20)); len(b) > 0; b = b[min(len(b), 1<<20):] {
				i.say(b[:min(len(b), 1<<20)])
			}
		},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			i := m.enter(t, m.accept(t, "bad"))
			attack(i)
			if !i.cutOff() {
				t.Error("not cut off")
			}
			send(t, good, []byte(name))
			m.expect(t, "good", []byte(name))
		})
	}
}

func TestReplayedMessageIsRefused(t *testing.T) {
	m := startMaster(t, nil)
	i := m.enter(t, m.accept(t, "bad"))
	once := i.session.seal(nil, []byte("\x00once"))
	i.say(once, once)
	m.expect(t, "bad", []byte("once"))
	if !i.cutOff() {
		t.Error("not cut off")
	}
}

func TestClaimOfABigMessageCostsNoMemory(t *testing.T) {
	m := startMaster(t, nil)
	before := heapInUse()
	for n := range 50 {
		i := m.enter(t, m.accept(t, fmt.Sprint("m", n)))
		i.say(appendHeader(nil, header{size: 16 << 20}), make([]byte, 1<<10))
	}
	if grown := heapInUse() - before; grown > 16<<20 {
		t.Errorf("50 claims of 16 MiB cost %d MiB", grown>>20)
	}
	m.works(t, "good")
}

func TestStalledReaderIsCutAndHoldsUpNobody(t *testing.T) {
	m := startMaster(t, nil)
	good := m.dial(t, m.accept(t, "good"))
	m.enter(t, m.accept(t, "stalled")) // and never reads
	waitFor(t, "both are connected", func() bool { return m.Stats().Connected == 2 })
	before := heapInUse()
	body := make([]byte, 64<<10)
	cut, received := 0, make(chan int)
	const n = 1000
	go func() {
		count := 0
		for ; count < n; count++ {
			if _, err := good.Recv(t.Context()); err != nil {
				break
			}
		}
		received <- count
	}()
	for sent := range n {
		if errors.Is(m.Send("stalled", body), ErrNotConnected) {
			cut++
		}
		waitFor(t, "the good minion has kept pace", func() bool { return m.find("good") != nil && !m.find("good").half() })
		if err := m.Send("good", body); err != nil {
			t.Fatalf("message %d: %v", sent, err)
		}
	}
	if grown := heapInUse() - before; grown > 32<<20 {
		t.Errorf("a stalled reader cost %d MiB", grown>>20)
	}
	if got := <-received; got != n {
		t.Errorf("the good minion got %d of %d", got, n)
	}
	if cut == 0 || m.Stats().Overflows != 1 {
		t.Errorf("the stalled one was cut %d times, %d overflows", cut, m.Stats().Overflows)
	}
}

// half reports whether half of the queue is used.
func (o *outbox) half() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes > o.limits.QueueBytes/2
}

func TestStalledReaderIsCutWithoutFurtherMessagesToo(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Limits.WriteTimeout = 300 * time.Millisecond })
	m.enter(t, m.accept(t, "stalled"))
	waitFor(t, "it is connected", func() bool { return m.Stats().Connected == 1 })
	if err := m.Send("stalled", make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is cut", func() bool { return m.Stats().Connected == 0 })
}

func TestFloodOfPingsCostsNoMemory(t *testing.T) {
	m := startMaster(t, nil)
	i := m.enter(t, m.accept(t, "bad"))
	before := heapInUse()
	var pings []byte
	for range 20000 {
		pings = i.session.seal(pings, append([]byte{innerCommand}, command("PING", make([]byte, 18))...))
	}
	i.SetWriteDeadline(time.Now().Add(2 * time.Second)) //nolint:errcheck // best effort
	i.say(pings)
	if grown := heapInUse() - before - int64(cap(pings)); grown > 8<<20 {
		t.Errorf("cost %d KiB", grown>>10)
	}
	m.works(t, "good")
}

func TestGuestsAreFewAndSayLittle(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) {
		cfg.Guest = func(id string) bool { return strings.HasPrefix(id, "pending:") }
		cfg.Limits.Guests, cfg.Limits.GuestMessages = 2, 3
	})
	a := m.dial(t, m.accept(t, "pending:a"))
	b := m.dial(t, m.accept(t, "pending:b"))
	m.works(t, "no-guest")

	send(t, a, make([]byte, 4<<10))
	m.expect(t, "pending:a", make([]byte, 4<<10))
	send(t, a, make([]byte, 4<<10+1))
	if _, err := a.Recv(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a guest that said too much at once got %v", err)
	}
	for range 4 {
		b.Send(t.Context(), []byte("x")) //nolint:errcheck // it may be cut off already
	}
	if _, err := b.Recv(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a guest that said too much got %v", err)
	}
	waitFor(t, "their places are free", func() bool { return m.Stats().Guests == 0 })
}

func TestKeyThatNeedsNoSecretProvesNothing(t *testing.T) {
	if degenerate(newKey(t).Public) {
		t.Error("a good key is refused")
	}
	for _, k := range []fleet.Key{{}, {1}} {
		if !degenerate(k) {
			t.Errorf("%v is taken for a key", k)
		}
	}
}

// brokenListener has no descriptors left.
type brokenListener struct {
	net.Listener
	tries int
	once  sync.Once
	done  chan struct{}
}

func (l *brokenListener) Accept() (net.Conn, error) {
	l.tries++
	return nil, errors.New("too many open files")
}

func (l *brokenListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func TestDoorDoesNotSpinWhenItCannotAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &brokenListener{done: make(chan struct{})}
		d := newDoor(l, Limits{}.withDefaults(), func(...any) {}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		d.run(ctx)
		<-l.done
		if l.tries < 60 || l.tries > 80 {
			t.Errorf("tried %d times in a minute", l.tries)
		}
	})
}
