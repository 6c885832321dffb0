package bus

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/quiet"
)

// PublisherConfig says how to listen for subscribers.
type PublisherConfig struct {
	Listen string // host:port
	Key    KeyPair

	// Authorize says with an error that the owner of key may not subscribe. It is asked inside the handshake, by many
	// goroutines at once. One key may have several connections.
	Authorize func(key fleet.Key, from net.Addr) error

	// Subscribers is how many may be connected at once, 256.
	Subscribers int

	Limits Limits
	Log    *slog.Logger // nil: no log
}

// Publisher is a PUB socket: it sends topics and bodies to the subscribers who asked for such topics, as long as each
// keeps pace. Its methods may be called at the same time. There is nothing to route and nothing to wait for, so it
// needs no zmq4.
type Publisher struct {
	cfg      PublisherConfig
	addr     net.Addr
	stop     context.CancelFunc
	once     sync.Once
	slow     *quiet.Summary
	counters struct{ sent, dropped atomic.Uint64 }

	entrance *door

	door    sync.WaitGroup
	readers sync.WaitGroup

	mu  sync.Mutex
	all map[*subscriber]bool // guarded by mu; true once it may be sent to
}

// NewPublisher opens a PUB socket. Close ends it.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	if cfg.Key.secret == nil || cfg.Authorize == nil {
		return nil, errors.New("publish: a key and Authorize are needed")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Subscribers = cmp.Or(cfg.Subscribers, 256)
	log := orDiscard(cfg.Log)
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the publisher: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Publisher{
		cfg: cfg, addr: listener.Addr(), stop: stop, all: map[*subscriber]bool{},
		slow: quiet.New(func(counts ...any) { log.Warn("subscribers are too slow, messages dropped", counts...) }),
	}
	p.entrance = newDoor(listener, cfg.Limits, func(counts ...any) { log.Warn("subscribers rejected", counts...) }, p.enter)
	p.door.Go(func() { p.entrance.run(ctx) })
	return p, nil
}

// Addr is where the publisher listens.
func (p *Publisher) Addr() net.Addr { return p.addr }

// Publish sends a message of two frames, topic and body, to each subscriber who asked for a beginning of topic. It
// never waits: a subscriber whose queue is full does not get this message, and one who comes later does not either.
// A topic has at most 255 bytes. body must not be changed afterwards.
func (p *Publisher) Publish(topic string, body []byte) error {
	if len(topic) > maxTopic || len(body) > p.cfg.Limits.Message {
		return fmt.Errorf("publish: %w: topic of %d bytes, body of %d", ErrTooBig, len(topic), len(body))
	}
	// All queues share the bytes: they are encrypted for each subscriber when it is its turn.
	first, last := frame{innerMore, []byte(topic)}, frame{innerMessage, body}
	p.mu.Lock()
	defer p.mu.Unlock()
	for s, ready := range p.all {
		switch {
		case !ready || !s.wants(topic):
		case s.offer(first, last):
			p.counters.sent.Add(1)
		case s.end() == nil:
			p.counters.dropped.Add(1)
			p.slow.Note("dropped", "last_from", s.from.String(), "last_key", s.key.Fingerprint())
		}
	}
	return nil
}

// Close ends all connections, after what is queued for them was sent or CloseTimeout has passed, and returns when
// everything that the publisher started has ended. It may be called more than once.
func (p *Publisher) Close() error {
	p.once.Do(func() {
		p.stop()
		p.door.Wait() // no new connections from here on
		p.mu.Lock()
		for s := range p.all {
			s.shut(errClosedHere)
		}
		p.mu.Unlock()
		p.readers.Wait()
		p.entrance.rejected.Stop()
		p.slow.Stop()
	})
	return nil
}

// PublisherStats counts what a publisher has done.
type PublisherStats struct {
	DoorStats
	Subscribers int    // now
	Sent        uint64 // messages, once for each subscriber
	Dropped     uint64 // messages, once for each subscriber who was too slow
}

// Stats returns the numbers of now.
func (p *Publisher) Stats() PublisherStats {
	c := &p.counters
	p.mu.Lock()
	defer p.mu.Unlock()
	return PublisherStats{
		DoorStats: p.entrance.stats(), Subscribers: len(p.all), Sent: c.sent.Load(), Dropped: c.dropped.Load(),
	}
}

// enter runs the handshake with who is at the door.
func (p *Publisher) enter(raw net.Conn) (then func(context.Context), err error) {
	s, err := p.handshake(raw)
	if err != nil {
		p.forget(s)
	}
	return func(context.Context) {}, err
}

func (p *Publisher) handshake(raw net.Conn) (*subscriber, error) {
	if err := raw.SetDeadline(time.Now().Add(p.cfg.Limits.HandshakeTimeout)); err != nil {
		return nil, err
	}
	var s *subscriber
	in := bufio.NewReaderSize(raw, handshakeBuffer)
	session, err := serveHandshake(raw, in, p.cfg.Key, kindPub, func(key fleet.Key) (r *refusal) {
		s, r = p.authorize(key, raw.RemoteAddr())
		return r
	})
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		return s, err
	}
	p.start(s, raw, in, session)
	return s, nil
}

// authorize makes a place for the owner of key, if it may have one.
func (p *Publisher) authorize(key fleet.Key, from net.Addr) (*subscriber, *refusal) {
	if err := p.cfg.Authorize(key, from); err != nil {
		return nil, &refusal{reasonRefused, fmt.Errorf("refused: key %s: %w", key.Fingerprint(), err)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= p.cfg.Subscribers {
		return nil, &refusal{reasonBusy, errManySubscribers}
	}
	s := &subscriber{key: key, from: from, topics: subscriptions{}}
	p.all[s] = false
	return s, nil
}

// start lets a subscriber say what it wants, until it is gone.
func (p *Publisher) start(s *subscriber, raw net.Conn, in *bufio.Reader, session session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.outbox = newOutbox(raw, session, &p.cfg.Limits, &p.readers)
	p.all[s] = true
	p.readers.Go(func() {
		s.fail(s.read(in))
		s.release()
		<-s.done
		p.forget(s)
	})
}

func (p *Publisher) forget(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, s)
}

var errManySubscribers = errors.New("too many subscribers")
