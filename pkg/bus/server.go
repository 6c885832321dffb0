package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Peer is one connection of an authenticated peer.
type Peer struct {
	Identity string
	Key      fleet.Key
	From     net.Addr
	Number   uint64 // of the connection: a later one has a higher number
}

// ServerConfig says how to listen.
type ServerConfig struct {
	Listen string // host:port
	Key    KeyPair

	// Authorize gives the identity of the owner of key, or an error to refuse it. It is asked inside the handshake, by
	// many goroutines at once. One key must always have one identity at a time; a change of standing takes effect
	// with the next connection, so call Disconnect after it.
	Authorize func(key fleet.Key, from net.Addr) (identity string, err error)

	// Guest reports whether an identity may send only few and small messages: see Limits.Guests. No identity when nil.
	Guest func(identity string) bool

	// Connected and Disconnected are called one at a time, in the order in which it happened: what an identity's old
	// connection has to say comes before its new one is told of. Messages of a connection are received after its
	// Connected. The functions may use the Server, except Close, and should not take long. Both may be nil.
	Connected, Disconnected func(Peer)

	Limits Limits
	Log    *slog.Logger // nil: no log
}

// Server is the master's end of the bus. Its methods may be called at the same time.
type Server struct {
	cfg      ServerConfig
	log      *slog.Logger
	addr     net.Addr
	shards   []*shard
	inbox    chan message
	closing  chan struct{}
	once     sync.Once
	stop     context.CancelFunc
	counters counters

	entrance *door

	door  sync.WaitGroup
	pumps sync.WaitGroup
	conns sync.WaitGroup // of connections, from the end of the handshake until they are closed

	events sync.Mutex // held while Connected or Disconnected runs

	mu         sync.Mutex
	all        map[*link]bool      // guarded by mu; from the handshake on
	byIdentity map[string]*link    // guarded by mu; attached, the newest of the identity
	byKey      map[fleet.Key]*link // guarded by mu; the same links
	guests     map[*link]bool      // guarded by mu; who has a place for guests, from the key's proof on
	epoch      uint64              // guarded by mu; counts calls of Disconnect
	numbers    uint64              // guarded by mu
}

// link is a connection as the server knows it.
type link struct {
	*conn
	Peer
	shard *shard
	route []byte // what zmq4 knows it by: the identity, and the number so that an old connection is never meant
	guest bool
	epoch uint64 // when its key was authorized
}

type message struct {
	from  string
	route []byte
	body  []byte
}

// Listen opens the bus. Close ends it.
func Listen(cfg ServerConfig) (*Server, error) {
	if cfg.Key.secret == nil || cfg.Authorize == nil {
		return nil, errors.New("listen: a key and Authorize are needed")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Limits.MaxAge += cfg.Limits.MaxAge / 4 // the other side goes first, and so knows why
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, log: orDiscard(cfg.Log), stop: stop,
		inbox: make(chan message, inboxSize), closing: make(chan struct{}),
		all: map[*link]bool{}, guests: map[*link]bool{}, byIdentity: map[string]*link{}, byKey: map[fleet.Key]*link{},
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		stop()
		return nil, fmt.Errorf("open the bus: %w", err)
	}
	s.addr = listener.Addr()
	s.entrance = newDoor(listener, cfg.Limits, func(counts ...any) { s.log.Warn("peers rejected", counts...) }, s.enter)
	if err := s.openShards(shardCount); err != nil {
		return nil, errors.Join(err, listener.Close(), s.Close())
	}
	s.door.Go(func() { s.entrance.run(ctx) })
	return s, nil
}

const inboxSize = 64

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Recv returns the next message and the identity of who sent it. After Close it returns ErrClosed. While nobody calls
// it, peers that send are held up. A message that a peer sent just before its connection ended may come after its
// Disconnected.
func (s *Server) Recv(ctx context.Context) (from string, body []byte, err error) {
	select {
	case m := <-s.inbox:
		s.taken(m)
		return m.from, m.body, nil
	case <-s.closing:
		return "", nil, ErrClosed
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
}

// taken lets the connection that a message came by send on.
func (s *Server) taken(m message) {
	if l := s.find(m.from); l != nil && bytes.Equal(l.route, m.route) { // an older connection has ended already
		l.window.taken(len(m.body))
	}
}

// Send queues body for the peer with the identity to, and does not wait for the network; body must not be changed any more.
// It returns ErrNotConnected when there is no such peer, and also when its queue runs over: then its connection is cut.
func (s *Server) Send(to string, body []byte) error {
	if len(body) > s.cfg.Limits.Message {
		return fmt.Errorf("send to %s: %w: %d bytes", to, ErrTooBig, len(body))
	}
	l := s.find(to)
	if l == nil {
		return fmt.Errorf("send to %s: %w", to, ErrNotConnected)
	}
	if err := l.push(body); err != nil {
		return fmt.Errorf("send to %s: %w (%w)", to, ErrNotConnected, err)
	}
	s.counters.sent.Add(1)
	return nil
}

// Peer returns the key and the address of a connected peer.
func (s *Server) Peer(identity string) (fleet.Key, net.Addr, bool) {
	l := s.find(identity)
	if l == nil {
		return fleet.Key{}, nil, false
	}
	return l.Key, l.From, true
}

func (s *Server) find(identity string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byIdentity[identity]
}

// Disconnect cuts the connection of a peer, one too whose handshake is not over yet.
func (s *Server) Disconnect(identity string) {
	s.mu.Lock()
	s.epoch++
	s.shardOf(identity).cut = s.epoch
	l := s.byIdentity[identity]
	s.mu.Unlock()
	if l != nil {
		l.kill(errCut)
	}
}

// Close ends all connections, after what is queued for them was sent or CloseTimeout has passed, and returns when
// everything that the server started has ended. It may be called more than once.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.stop()
		s.door.Wait() // no new connections from here on
		for _, l := range s.links() {
			l.shut(errClosedHere)
		}
		patience := time.AfterFunc(s.cfg.Limits.CloseTimeout, func() {
			for _, l := range s.links() {
				l.kill(errClosedHere)
			}
		})
		s.conns.Wait()
		patience.Stop()
		for _, sh := range s.shards {
			sh.socket.Close() //nolint:errcheck // it has no connections any more
		}
		s.pumps.Wait()
		s.entrance.rejected.Stop()
	})
	return nil
}

func (s *Server) links() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	links := make([]*link, 0, len(s.all))
	for l := range s.all {
		links = append(links, l)
	}
	return links
}

// Stats counts what the server has done.
type Stats struct {
	DoorStats
	Connected int    // peers now
	Guests    int    // of these, and in handshakes
	Evicted   uint64 // guests that had to make room for another
	Overflows uint64 // connections cut because their queue ran over
	Silent    uint64 // connections cut because nothing came any more
	Broken    uint64 // connections cut because the peer broke the protocol or a limit
	Received  uint64 // messages
	Sent      uint64 // messages
}

type counters struct {
	evicted, overflows, silent, broken, received, sent atomic.Uint64
}

// Stats returns the numbers of now.
func (s *Server) Stats() Stats {
	c := &s.counters
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		DoorStats: s.entrance.stats(), Connected: len(s.byIdentity), Guests: len(s.guests), Evicted: c.evicted.Load(),
		Overflows: c.overflows.Load(), Silent: c.silent.Load(), Broken: c.broken.Load(),
		Received: c.received.Load(), Sent: c.sent.Load(),
	}
}
