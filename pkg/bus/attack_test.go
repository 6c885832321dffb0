package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// siege is a master under attack: small limits, and a single consumer that has work with each message.
type siege struct {
	*master
	t    *testing.T
	work sync.WaitGroup
	stop context.CancelFunc
	ctx  context.Context

	// The attackers run here too: with less to fill before they are held up they leave the processor to the master.
	small bool
}

const consumerWork = 200 * time.Microsecond

func besiege(t *testing.T) *siege {
	t.Helper()
	s := &siege{t: t, small: true}
	s.master = startMaster(t, func(cfg *ServerConfig) {
		cfg.Guest = func(id string) bool { return strings.HasPrefix(id, "pending:") }
		l := &cfg.Limits
		l.Handshakes, l.HandshakesPerAddress, l.HandshakeHurry = 64, 16, 500*time.Millisecond
		l.Guests, l.CloseTimeout = 8, time.Second
	})
	s.ctx, s.stop = context.WithCancel(t.Context())
	t.Cleanup(func() { s.stop(); s.work.Wait() })
	s.work.Go(func() {
		for {
			from, body, err := s.Recv(s.ctx)
			if err != nil {
				return
			}
			time.Sleep(consumerWork)
			s.Send(from, body) //nolint:errcheck // it may be gone
		}
	})
	return s
}

// again does something until the siege is over.
func (s *siege) again(n int, do func(worker int)) {
	for worker := range n {
		s.work.Go(func() {
			for s.ctx.Err() == nil {
				do(worker)
			}
		})
	}
}

// open connects from an address, as long as the siege lasts; nil when that failed.
func (s *siege) open(from string) *intruder {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Second}
	raw, err := d.DialContext(s.ctx, "tcp", s.Addr().String())
	if err != nil {
		return nil
	}
	context.AfterFunc(s.ctx, func() { raw.Close() })
	if s.small {
		raw.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return newIntruder(raw)
}

// hold opens connections that say something and then nothing, and opens them again when they are cut.
func (s *siege) hold(from func(worker int) string, say []byte) {
	s.again(100, func(worker int) {
		if i := s.open(from(worker)); i != nil {
			i.say(say)
			i.in.WriteTo(discard{}) // until it is cut off
			i.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	})
}

// flood sends frames for ever under a key that is accepted, and comes back when it is cut.
func (s *siege) flood(id string, reads bool, inner []byte) {
	key := s.accept(s.t, id)
	s.again(1, func(int) {
		i := s.open("127.0.0.1")
		if i == nil {
			return
		}
		defer i.Close()
		var err error
		if i.session, err = makeHandshake(i.Conn, i.in, key, kindDealer, s.key.Public); err != nil {
			return
		}
		if reads {
			s.work.Go(func() { i.in.WriteTo(discard{}) })
		}
		var b []byte
		for s.ctx.Err() == nil {
			b = i.session.seal(b[:0], inner)
			if _, err := i.Write(b); err != nil {
				return
			}
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func oneAddress(int) string { return "127.0.0.2" }

func manyAddresses(worker int) string { return fmt.Sprintf("127.0.%d.%d", 1+worker/50, 1+worker%50) }

// attacks are what one side of the bus may have to live with.
func attacks() map[string]func(*siege) {
	half := greeting("CURVE", false)[:32]
	return map[string]func(*siege){
		"silent, from one address":        func(s *siege) { s.hold(oneAddress, nil) },
		"silent, from many addresses":     func(s *siege) { s.hold(manyAddresses, nil) },
		"half a greeting, from many":      func(s *siege) { s.hold(manyAddresses, half) },
		"frames of 2^60 bytes, from many": func(s *siege) { s.hold(manyAddresses, append(greeting("CURVE", false), hugeFrame(flagCommand)...)) },
		"small messages for ever":         func(s *siege) { s.flood("small", true, []byte("\x00x")) },
		"small messages for ever, of many": func(s *siege) {
			for n := range 4 {
				s.flood(fmt.Sprint("small", n), true, []byte("\x00x"))
			}
		},
		"large messages for ever":        func(s *siege) { s.flood("large", true, make([]byte, 4<<20)) },
		"messages for ever, never reads": func(s *siege) { s.flood("deaf", false, make([]byte, 64<<10)) },
		"commands for ever": func(s *siege) {
			s.flood("pinger", true, append([]byte{innerCommand}, command("PING", make([]byte, 18))...))
		},
		"parts for ever":                    func(s *siege) { s.flood("parts", true, []byte("\x01part")) },
		"refused keys, as fast as possible": func(s *siege) { s.rush(func() KeyPair { return newKey(s.t) }) },
		"guests, as fast as possible": func(s *siege) {
			s.rush(func() KeyPair { return s.accept(s.t, fmt.Sprint("pending:", rand.Uint64())) })
		},
		"one key on many connections": func(s *siege) {
			key := s.accept(s.t, "twin")
			s.rush(func() KeyPair { return key })
		},
	}
}

// rush makes whole handshakes and stays for as long as it may.
func (s *siege) rush(key func() KeyPair) {
	s.again(10, func(int) {
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		c, err := Dial(ctx, s.config(key()))
		if err == nil {
			c.Recv(ctx)
			c.Close()
		}
	})
}

// arrive gets a good minion in, which tries again as it would in life.
func (s *siege) arrive(key KeyPair) *Client {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := Dial(s.t.Context(), s.config(key))
		if err == nil {
			s.t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(end) {
			s.t.Fatal(err)
		}
	}
}

// roundTrips makes round trips for a while and returns how long each took.
func roundTrips(t *testing.T, c *Client, duration time.Duration) []time.Duration {
	t.Helper()
	var took []time.Duration
	for begin := time.Now(); time.Since(begin) < duration; time.Sleep(2 * time.Millisecond) {
		start := time.Now()
		send(t, c, []byte("there and back"))
		expectAt(t, c, []byte("there and back"))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took
}

func TestGoodMinionsDoNotNoticeAnAttack(t *testing.T) {
	// Generous, for machines with other work; the memory is that of both sides.
	const medianMost, most, memoryMost = 500 * time.Millisecond, 3 * time.Second, 64 << 20
	for name, attack := range attacks() {
		t.Run(name, func(t *testing.T) {
			s := besiege(t)
			good := s.dial(t, s.accept(t, "good"))
			roundTrips(t, good, 50*time.Millisecond)
			before := heapInUse()
			attack(s)
			time.Sleep(100 * time.Millisecond) // let it get going
			var grown int64
			var took []time.Duration
			for range 4 {
				took = append(took, roundTrips(t, good, 150*time.Millisecond)...)
				grown = max(grown, heapInUse()-before)
			}
			start := time.Now()
			late := s.arrive(s.accept(t, "late"))
			send(t, late, []byte("x"))
			expectAt(t, late, []byte("x"))
			entered := time.Since(start)
			slices.Sort(took)
			median, worst := took[len(took)/2], took[len(took)-1]
			t.Logf("round trips: median %v, worst %v of %d; a newcomer is in after %v; %d KiB; %+v",
				median.Round(time.Microsecond), worst.Round(time.Microsecond), len(took), entered.Round(time.Millisecond), grown>>10, s.Stats())
			if median > medianMost || worst > most {
				t.Errorf("round trips of a good minion took up to %v, half of them more than %v", worst, median)
			}
			if entered > most {
				t.Errorf("a new minion waited %v", entered)
			}
			if grown > memoryMost {
				t.Errorf("the attack cost %d MiB", grown>>20)
			}
			s.stop()
		})
	}
}

func TestPeerThatSendsForEverWhileNobodyReceivesIsHeldUp(t *testing.T) {
	m := startMaster(t, func(cfg *ServerConfig) { cfg.Limits.CloseTimeout = time.Second })
	before := heapInUse()
	s := &siege{master: m, t: t}
	s.ctx, s.stop = context.WithCancel(t.Context())
	s.flood("bad", false, make([]byte, 2<<20))
	time.Sleep(time.Second)
	if grown := heapInUse() - before; grown > 32<<20 {
		t.Errorf("it cost %d MiB", grown>>20)
	}
	good := m.dial(t, m.accept(t, "good"))
	send(t, good, []byte("let me through"))
	received := 0
	for from := ""; from != "good"; received++ {
		var err error
		if from, _, err = m.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if received > 4 {
		t.Errorf("a good minion's message came after %d others", received-1)
	}
	s.stop()
	s.work.Wait()
}
