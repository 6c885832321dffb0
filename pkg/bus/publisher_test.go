package bus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/fleet"
)

var errNotWelcome = errors.New("not welcome")

// startPublisher opens a publisher for the keys that are given.
func startPublisher(t *testing.T, change func(*PublisherConfig), keys ...KeyPair) (*Publisher, fleet.Key) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	key := newKey(t)
	cfg := PublisherConfig{Listen: "127.0.0.1:0", Key: key, Authorize: func(k fleet.Key, _ net.Addr) error {
		if slices.ContainsFunc(keys, func(known KeyPair) bool { return known.Public == k }) {
			return nil
		}
		return errNotWelcome
	}}
	cfg.Limits.CloseTimeout = 200 * time.Millisecond // these listeners do not hang up
	if change != nil {
		change(&cfg)
	}
	p, err := NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, key.Public
}

// listener is a SUB that speaks bytes.
type listener struct{ intruder }

func (p *Publisher) visit(t *testing.T, key KeyPair, server fleet.Key) (*listener, error) {
	t.Helper()
	raw, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	l := &listener{intruder{Conn: raw, in: bufio.NewReader(raw)}}
	l.session, err = makeHandshake(raw, l.in, key, kindSub, server)
	return l, err
}

// hear is visit by who asks for topics, as ZMTP 3.1 or as what was before it.
func (p *Publisher) hear(t *testing.T, key KeyPair, server fleet.Key, inner ...[]byte) *listener {
	t.Helper()
	l, err := p.visit(t, key, server)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range inner {
		l.say(l.session.seal(nil, i))
	}
	return l
}

func wish(name, topic string) []byte {
	return append([]byte{innerCommand}, command(name, []byte(topic))...)
}

// next returns the next message.
func (l *listener) next(t *testing.T) (topic, body string) {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(10 * time.Second))
	var parts []string
	for {
		_, frame, err := readFrame(l.in, 1<<24)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := l.session.open(frame)
		if err != nil {
			t.Fatal(err)
		}
		if inner[0] == innerCommand {
			continue
		}
		if parts = append(parts, string(inner[1:])); inner[0] == innerMessage {
			break
		}
	}
	if len(parts) != 2 {
		t.Fatalf("%d frames: %q", len(parts), parts)
	}
	return parts[0], parts[1]
}

func TestSubscribersGetTheTopicsThatTheyAskFor(t *testing.T) {
	key := newKey(t)
	p, server := startPublisher(t, nil, key)
	ls := []*listener{
		p.hear(t, key, server, wish("SUBSCRIBE", "a/")),
		p.hear(t, key, server, []byte("\x00\x01a/")), // as ZMTP 3.0 says it
		p.hear(t, key, server, wish("SUBSCRIBE", "b"), wish("SUBSCRIBE", "a/"), wish("CANCEL", "b")),
		p.hear(t, key, server, []byte("\x00\x01"), []byte("\x00\x00"), []byte("\x00\x01a/1"), []byte("\x00\x01a/2")),
	}
	for _, l := range ls { // what was asked for before a PING is in force when the PONG comes
		l.say(l.session.seal(nil, append([]byte{innerCommand}, command("PING", []byte("\x00\x00x"))...)))
		_, frame, err := readFrame(l.in, 100)
		if err != nil {
			t.Fatal(err)
		}
		if pong, err := l.session.open(frame); err != nil || string(pong) != "\x02\x04PONGx" {
			t.Fatalf("%q, %v", pong, err)
		}
	}
	for _, topic := range []string{"b", "a", "a/1", "", "a/2", "A/"} {
		if err := p.Publish(topic, []byte("about "+topic)); err != nil {
			t.Fatal(err)
		}
	}
	for i, l := range ls {
		for _, want := range []string{"a/1", "a/2"} {
			if topic, body := l.next(t); topic != want || body != "about "+want {
				t.Errorf("%d got %q %q, want %s", i, topic, body, want)
			}
		}
	}
	if err := p.Publish(strings.Repeat("x", 256), nil); !errors.Is(err, ErrTooBig) {
		t.Errorf("a long topic gave %v", err)
	}
}

func TestWhoMayNotSubscribeIsToldSo(t *testing.T) {
	key, second := newKey(t), newKey(t)
	var lines bytes.Buffer
	p, server := startPublisher(t, func(cfg *PublisherConfig) {
		cfg.Subscribers, cfg.Log = 1, slog.New(slog.NewTextHandler(&lines, nil))
	}, key, second)
	for range 20 {
		if _, err := p.visit(t, newKey(t), server); !errors.Is(err, ErrRefused) {
			t.Errorf("an unknown key got %v", err)
		}
	}
	l := p.hear(t, key, server, wish("SUBSCRIBE", ""))
	if _, err := p.visit(t, second, server); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many got %v", err)
	}
	waitFor(t, "it hears", func() bool { p.Publish("x", nil); return p.Stats().Sent > 0 })
	l.next(t)
	l.Close()
	waitFor(t, "it is forgotten", func() bool { return p.Stats().Subscribers == 0 })
	p.hear(t, second, server)
	waitFor(t, "it is welcome", func() bool { return p.Stats().Handshakes == 2 })
	p.Close()
	if got := p.Stats(); got.Refused != 21 || got.Handshakes != 2 {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(lines.String(), "\n"); n != 2 || !strings.Contains(lines.String(), "refused=20 ") {
		t.Errorf("%d lines:\n%s", n, lines.String())
	}
}

func TestSlowSubscriberMissesMessagesAndHoldsUpNobody(t *testing.T) {
	key := newKey(t)
	p, server := startPublisher(t, func(cfg *PublisherConfig) { cfg.Limits.WriteTimeout = 30 * time.Second }, key)
	p.hear(t, key, server, wish("SUBSCRIBE", "")) // and never reads
	good := p.hear(t, key, server, wish("SUBSCRIBE", ""))
	waitFor(t, "both hear", func() bool {
		before := p.Stats().Sent
		p.Publish("ready", nil)
		return p.Stats().Sent == before+2
	})
	for topic := "ready"; topic == "ready"; topic, _ = good.next(t) {
		p.Publish("go", nil)
	}
	before := heapInUse()
	body := make([]byte, 64<<10)
	const n = 1000
	start := time.Now()
	for i := range n {
		topic := fmt.Sprint("n", i)
		if err := p.Publish(topic, body); err != nil {
			t.Fatal(err)
		}
		for got := "go"; got != topic; {
			if got, _ = good.next(t); got != topic && got != "go" {
				t.Fatalf("got %s, want %s", got, topic)
			}
		}
	}
	if grown := heapInUse() - before; grown > 16<<20 {
		t.Errorf("a slow subscriber cost %d MiB", grown>>20)
	}
	if got := p.Stats(); got.Dropped == 0 || got.Dropped > n {
		t.Errorf("%+v", got)
	}
	t.Logf("%d messages in %v, the slow one missed %d", n, time.Since(start), p.Stats().Dropped)
	p.Close()
}

func TestSubscriberThatBreaksTheProtocolIsCut(t *testing.T) {
	key := newKey(t)
	p, server := startPublisher(t, nil, key)
	var many [][]byte
	for i := range maxSubscriptions + 1 {
		many = append(many, wish("SUBSCRIBE", fmt.Sprint(i)))
	}
	for name, inner := range map[string][][]byte{
		"a topic too long":     {wish("SUBSCRIBE", strings.Repeat("x", 256))},
		"too many topics":      many,
		"a message too long":   {make([]byte, 2<<10)},
		"a message in parts":   {[]byte("\x01x")},
		"a nameless command":   {{innerCommand}},
		"a command cut off":    {{innerCommand, 9, 'S'}},
		"unknown flags inside": {[]byte("\x80x")},
	} {
		t.Run(name, func(t *testing.T) {
			if l := p.hear(t, key, server, inner...); !l.cutOff() {
				t.Error("not cut off")
			}
		})
	}
	l := p.hear(t, key, server, []byte("\x00user message of an XSUB"), []byte{innerMessage}, wish("SUBSCRIBE", "still here"))
	waitFor(t, "it hears", func() bool { p.Publish("still here", nil); return p.Stats().Sent > 0 })
	l.next(t)
	p.Close()
}
