package bus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/nacl/secretbox"

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
	return knockAt(t, m.Addr().String(), from)
}

func knockAt(t testing.TB, address, from string) *intruder {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return newIntruder(raw)
}

func newIntruder(raw net.Conn) *intruder { return &intruder{Conn: raw, in: bufio.NewReader(raw)} }

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
	a.Send(t.Context(), make([]byte, 4<<10+1)) //nolint:errcheck // it may be cut off already
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

func TestReorderedMessagesAreRefused(t *testing.T) {
	m := startMaster(t, nil)
	i := m.enter(t, m.accept(t, "bad"))
	first, second := i.session.seal(nil, []byte("\x00first")), i.session.seal(nil, []byte("\x00second"))
	i.say(second, first)
	m.expect(t, "bad", []byte("second"))
	if !i.cutOff() {
		t.Error("not cut off")
	}
	waitFor(t, "it is counted", func() bool { return m.Stats().Broken == 1 })
}

// memory is a connection that keeps what was written to it.
type memory struct {
	net.Conn
	written [][]byte
}

func (r *memory) Write(p []byte) (int, error) {
	r.written = append(r.written, bytes.Clone(p))
	return r.Conn.Write(p)
}

func TestReplayedHandshakeProvesNothing(t *testing.T) {
	m := startMaster(t, nil)
	key := m.accept(t, "web1")
	i := m.knock(t, "127.0.0.1")
	r := &memory{Conn: i.Conn}
	if _, err := makeHandshake(r, i.in, key, kindDealer, m.key.Public); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is connected", func() bool { return m.Stats().Handshakes == 1 })
	again := m.knock(t, "127.0.0.1")
	again.say(r.written...)
	if !again.cutOff() {
		t.Error("not cut off")
	}
	waitFor(t, "it is counted", func() bool { return m.Stats().Failed == 1 })
	if got := m.log(); !slices.Equal(got, []string{"+web1/1"}) {
		t.Errorf("the master was told %v", got)
	}
}

func TestMalformedInitiateIsRefused(t *testing.T) {
	m := startMaster(t, nil)
	key := m.accept(t, "web1")
	whole := metadata{kindDealer, ""}.marshal()
	attacks := map[string]func(initiate, inside []byte, s *session) []byte{
		"empty":             func(_, _ []byte, _ *session) []byte { return nil },
		"cut off":           func(b, _ []byte, _ *session) []byte { return b[:len(b)-1] },
		"another cookie":    func(b, _ []byte, _ *session) []byte { b[0] ^= 1; return b },
		"altered":           func(b, _ []byte, _ *session) []byte { b[len(b)-1] ^= 1; return b },
		"nonce of HELLO":    func(b, in []byte, s *session) []byte { return reseal(b, in, 1, s) },
		"another's key":     func(b, in []byte, s *session) []byte { return reseal(b, append(m.key.Public[:], in[32:]...), 2, s) },
		"key of zeros":      func(b, in []byte, s *session) []byte { return reseal(b, append(make([]byte, 32), in[32:]...), 2, s) },
		"another's vouch":   func(b, in []byte, s *session) []byte { in[40] ^= 1; return reseal(b, in, 2, s) },
		"metadata overruns": func(b, in []byte, s *session) []byte { return reseal(b, append(in, "\x01X\xff\xff\xff\xff"...), 2, s) },
		"nameless metadata": func(b, in []byte, s *session) []byte { return reseal(b, append(in, 0), 2, s) },
		"metadata missing":  func(b, in []byte, s *session) []byte { return reseal(b, in[:len(in)-len(whole)], 2, s) },
		"a PUB": func(b, in []byte, s *session) []byte {
			return reseal(b, append(in, metadata{kindPub, ""}.marshal()...), 2, s)
		},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			before := m.Stats().Failed
			i := m.knock(t, "127.0.0.1")
			i.say(greeting("CURVE", false))
			if err := readGreeting(i.in); err != nil {
				t.Fatal(err)
			}
			h := curveClient{key: key, master: m.key.Public}
			hello, err := h.hello()
			if err != nil {
				t.Fatal(err)
			}
			welcome, err := ask(i.Conn, i.in, commandFrame("HELLO", hello), "WELCOME")
			if err != nil {
				t.Fatal(err)
			}
			initiate, err := h.welcome(welcome, metadata{kindDealer, ""})
			if err != nil {
				t.Fatal(err)
			}
			inside, ok := secretbox.Open(nil, initiate[initiateHead:], shortNonce(prefixInitiate, 2), &h.session.key)
			if !ok {
				t.Fatal("INITIATE does not open")
			}
			i.say(commandFrame("INITIATE", attack(initiate, inside, &h.session)))
			if !i.cutOff() {
				t.Error("not cut off")
			}
			waitFor(t, "it is counted", func() bool { return m.Stats().Failed == before+1 })
		})
	}
	if got := m.log(); len(got) > 0 {
		t.Errorf("the master was told %v", got)
	}
}

// reseal is an INITIATE with another inside and another nonce.
func reseal(initiate, inside []byte, nonce uint64, s *session) []byte {
	b := binary.BigEndian.AppendUint64(initiate[:cookieSize:cookieSize], nonce)
	return secretbox.Seal(b, inside, shortNonce(prefixInitiate, nonce), &s.key)
}

func TestGuestsMakeRoomForGuests(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) {
		cfg.Guest = func(id string) bool { return strings.HasPrefix(id, "pending:") }
		cfg.Limits.Guests, cfg.Limits.GuestAge = 2, 500*time.Millisecond
	})
	var all []*Client
	for n := range 5 {
		id := fmt.Sprint("pending:", n)
		c := m.dial(t, m.accept(t, id))
		send(t, c, []byte("enrol"))
		m.expect(t, id, []byte("enrol"))
		all = append(all, c)
	}
	for n, c := range all[:3] {
		if _, err := c.Recv(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("guest %d got %v", n, err)
		}
	}
	if got := m.Stats(); got.Evicted != 3 || got.Guests != 2 {
		t.Errorf("%+v", got)
	}
	for n, c := range all[3:] { // and nobody stays for long
		if _, err := c.Recv(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("guest %d got %v", 3+n, err)
		}
	}
	waitFor(t, "their places are free", func() bool { return m.Stats().Guests == 0 })
}

func TestManySilentAddressesAreHurriedWhenAllPlacesAreTaken(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) {
		cfg.Limits.Handshakes, cfg.Limits.HandshakeHurry = 20, 200*time.Millisecond
		cfg.Limits.HandshakeTimeout = time.Minute
	})
	for n := range 40 {
		m.knock(t, fmt.Sprint("127.0.0.", 2+n)) // and says nothing
	}
	m.works(t, "web1")
	if got := m.Stats(); got.Hurried == 0 || got.TurnedAway != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhatPeersDoWrongIsALineInTheLogNotMany(t *testing.T) {
	var lines lockedBuffer
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Log = slog.New(slog.NewTextHandler(&lines, nil)) })
	for range 50 {
		m.knock(t, "127.0.0.2").say([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 10)))
		i := m.enter(t, m.accept(t, "bad"))
		i.say(hugeFrame(0))
		i.cutOff()
	}
	waitFor(t, "all are counted", func() bool { return m.Stats().Failed == 50 && m.Stats().Broken == 50 })
	m.Close()
	if n := strings.Count(lines.String(), "\n"); n > 3 || !strings.Contains(lines.String(), "last_peer=bad") {
		t.Errorf("%d lines:\n%s", n, lines.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
