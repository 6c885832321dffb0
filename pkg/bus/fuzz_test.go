package bus

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x04\x05\x04PING"))
	f.Add(hugeFrame(0))
	f.Add(append(appendHeader(nil, header{size: 300}), make([]byte, 300)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		flags, body, err := readFrame(bufio.NewReader(bytes.NewReader(b)), 1<<16)
		if err != nil {
			return
		}
		if len(body) > len(b) || flags&flagLong != 0 {
			t.Fatalf("%d bytes with flags %x from %d bytes", len(body), flags, len(b))
		}
		again := append(appendHeader(nil, header{flags, len(body)}), body...)
		if f2, body2, err := readFrame(bufio.NewReader(bytes.NewReader(again)), 1<<16); err != nil || f2 != flags || !bytes.Equal(body, body2) {
			t.Fatalf("frame does not come back: %v", err)
		}
	})
}

func FuzzCommand(f *testing.F) {
	f.Add(command("PING", []byte{0, 0}))
	f.Add([]byte{9, 'P'})
	f.Fuzz(func(t *testing.T, b []byte) {
		name, data, err := parseCommand(b)
		if err == nil && !bytes.Equal(command(name, data), b) {
			t.Fatalf("%q with %q is not %q", name, data, b)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add(metadata{"DEALER", "web1"}.marshal())
	f.Add([]byte("\x01X\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMetadata(b)
		if err != nil {
			return
		}
		if again, err := parseMetadata(m.marshal()); err != nil || again != m {
			t.Fatalf("%+v does not come back: %+v, %v", m, again, err)
		}
	})
}

// FuzzServer gives the master's side of a handshake a HELLO, an INITIATE and the inside of an INITIATE that have not
// been made by a client: nothing of it may prove a key.
func FuzzServer(f *testing.F) {
	key := newKey(f)
	client := curveClient{key: newKey(f), master: key.Public}
	hello, err := client.hello()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hello, make([]byte, initiateLeast), make([]byte, 32+vouchSize))
	f.Add([]byte{1, 0}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, anyHello, anyInitiate, inside []byte) {
		h := curveServer{key: key}
		if _, err := h.hello(anyHello); err == nil && !bytes.Equal(anyHello, hello) {
			t.Fatal("an invented HELLO opened")
		}
		h = curveServer{key: key}
		welcome, err := h.hello(hello)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.initiate(anyInitiate); err == nil {
			t.Fatal("an invented INITIATE opened")
		}
		c := client
		initiate, err := c.welcome(welcome, metadata{})
		if err != nil {
			t.Fatal(err)
		}
		forged := secretbox.Seal(initiate[:initiateHead:initiateHead], inside, shortNonce(prefixInitiate, 2), &c.session.key)
		if _, _, err := h.initiate(forged); err == nil {
			t.Fatal("an INITIATE without a vouch proved a key")
		}
	})
}

// FuzzClient gives the minion's side of a handshake what no master has made.
func FuzzClient(f *testing.F) {
	f.Add(make([]byte, welcomeSize), make([]byte, 100))
	f.Fuzz(func(t *testing.T, welcome, ready []byte) {
		h := curveClient{key: newKey(t), master: newKey(t).Public}
		if _, err := h.hello(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.welcome(welcome, metadata{}); err == nil {
			t.Fatal("an invented WELCOME opened")
		}
		if _, err := h.ready(ready); err == nil {
			t.Fatal("an invented READY opened")
		}
	})
}

// scripted is a net.Conn that says what it was given, and swallows what it is told.
type scripted struct {
	io.Reader
	net.Conn
}

func (s *scripted) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
func (s *scripted) Close() error                     { return nil }

// FuzzHandshake gives the master's side bytes from the network.
func FuzzHandshake(f *testing.F) {
	key := newKey(f)
	f.Add(greeting("CURVE", false))
	f.Add(append(greeting("CURVE", false), commandFrame("HELLO", make([]byte, helloSize))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := &scripted{Reader: bytes.NewReader(b)}
		_, err := serveHandshake(raw, bufio.NewReader(raw), key, kindRouter, func(fleet.Key) *refusal {
			t.Fatal("bytes that nobody made have proven a key")
			return nil
		})
		if err == nil {
			t.Fatal("the handshake succeeded")
		}
	})
}

// FuzzConnRead gives a connection raw bytes, or frames that an accepted minion has encrypted: zmq4 must get well-formed
// messages only, and then io.EOF.
func FuzzConnRead(f *testing.F) {
	f.Add([]byte("\x00hello"), true)
	f.Add([]byte("\x02\x04PING\x00\x00"), true)
	f.Add([]byte("\x01part"), true)
	f.Add(hugeFrame(0), false)
	f.Fuzz(func(t *testing.T, b []byte, encrypted bool) {
		want := 0
		if encrypted && len(b) > 0 {
			want = len(b) - 1
			b = (&session{sendPrefix: prefixClient}).seal(nil, b)
		}
		var work sync.WaitGroup
		defer work.Wait()
		raw := &scripted{Reader: bytes.NewReader(b)}
		limits := Limits{}.withDefaults()
		c := newConn(newOutbox(raw, session{recvPrefix: prefixClient}, &limits, &work), bufio.NewReader(raw), metadata{"DEALER", "x"})
		defer c.Close()
		in := bufio.NewReader(c)
		if err := skipEngineHandshake(in); err != nil {
			t.Fatal(err)
		}
		for {
			flags, body, err := readFrame(in, 1<<20)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatalf("zmq4 gets %v", err)
				}
				return
			}
			if flags != 0 || len(body) != want {
				t.Fatalf("zmq4 gets %d bytes with flags %x", len(body), flags)
			}
		}
	})
}

func skipEngineHandshake(in *bufio.Reader) error {
	if _, err := in.Discard(greetingSize); err != nil {
		return err
	}
	_, _, err := readFrame(in, 1<<10)
	return err
}

// FuzzAnswer gives the minion's side of a handshake bytes from the network.
func FuzzAnswer(f *testing.F) {
	f.Add(greeting("CURVE", true))
	f.Add(append(greeting("CURVE", true), commandFrame("WELCOME", make([]byte, welcomeSize))...))
	f.Add(append(greeting("CURVE", true), commandFrame("ERROR", []byte("\x03400"))...))
	key := newKey(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := &scripted{Reader: bytes.NewReader(b)}
		if _, err := makeHandshake(raw, bufio.NewReader(raw), key, kindDealer, key.Public); err == nil {
			t.Fatal("bytes that nobody made have proven the master's key")
		}
	})
}

// FuzzProven gives both sides metadata of a peer that has proven its key.
func FuzzProven(f *testing.F) {
	master, minion := newKey(f), newKey(f)
	f.Add(metadata{kindDealer, "web1"}.marshal())
	f.Add([]byte("\x01X\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, inside []byte) {
		want, wantErr := parseMetadata(inside)
		server, client := curveServer{key: master}, curveClient{key: minion, master: master.Public}
		hello, err := client.hello()
		if err != nil {
			t.Fatal(err)
		}
		welcome, err := server.hello(hello)
		if err != nil {
			t.Fatal(err)
		}
		initiate, err := client.welcome(welcome, metadata{})
		if err != nil {
			t.Fatal(err)
		}
		plain, ok := secretbox.Open(nil, initiate[initiateHead:], shortNonce(prefixInitiate, 2), &client.session.key)
		if !ok {
			t.Fatal("INITIATE does not open")
		}
		initiate = reseal(initiate, append(plain[:32+vouchSize:32+vouchSize], inside...), 2, &client.session)
		if key, got, err := server.initiate(initiate); (err == nil) != (wantErr == nil) || err == nil && (got != want || key != minion.Public) {
			t.Fatalf("INITIATE gives %v, %+v, %v; want %+v, %v", key, got, err, want, wantErr)
		}
		ready := secretbox.Seal(make([]byte, 8), inside, shortNonce(prefixReady, 0), &client.session.key)
		if got, err := client.ready(ready); (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Fatalf("READY gives %+v, %v; want %+v, %v", got, err, want, wantErr)
		}
	})
}

// FuzzSubscription gives a publisher what subscribers ask for.
func FuzzSubscription(f *testing.F) {
	f.Add(wish("SUBSCRIBE", "brine/"), "brine/event/")
	f.Add(wish("CANCEL", ""), "")
	f.Add([]byte("\x00\x01brine/"), "brine/event/")
	f.Add([]byte("\x00\x00"), "x")
	f.Fuzz(func(t *testing.T, inner []byte, topic string) {
		if len(inner) == 0 || len(topic) > maxTopic {
			return // a MESSAGE has a byte at least, and Publish takes no such topic
		}
		s, ok, err := parseSubscription(inner)
		if !ok || err != nil {
			return
		}
		if len(s.prefix) > maxTopic || !bytes.HasSuffix(inner, []byte(s.prefix)) {
			t.Fatalf("%q asks for %q", inner, s.prefix)
		}
		all := subscriptions{"other": {}}
		if err := all.apply(s); err != nil {
			t.Fatal(err)
		}
		want := strings.HasPrefix(topic, "other") && (s.wanted || s.prefix != "other") || s.wanted && strings.HasPrefix(topic, s.prefix)
		if got := all.match(topic); got != want {
			t.Fatalf("%q matches %q: %v", topic, s.prefix, got)
		}
	})
}
