package bus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"
)

// exchange is the transport that zmq4 knows. It opens nothing: a Server or Client puts a listener or a finished
// connection there under a name, and zmq4 fetches it by that name.
type exchange struct {
	mu    sync.Mutex
	last  int                 // guarded by mu
	goods map[string]endpoint // guarded by mu
}

// endpoint is what zmq4 listens on or dials.
type endpoint struct {
	listener net.Listener
	conn     net.Conn
}

const scheme = "brine"

// theExchange is the one exchange of the process: zmq4 has one table of transports, and nothing is ever taken from it.
var theExchange = sync.OnceValues(func() (*exchange, error) {
	x := &exchange{goods: map[string]endpoint{}}
	if err := zmq4.RegisterTransport(scheme, x); err != nil {
		return nil, fmt.Errorf("register transport: %w", err)
	}
	return x, nil
})

var _ transport.Transport = (*exchange)(nil)

// open puts e there for as long as use runs, which gets the name that zmq4 knows it by.
func (x *exchange) open(e endpoint, use func(name string) error) error {
	x.mu.Lock()
	x.last++
	name := strconv.Itoa(x.last)
	x.goods[name] = e
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		delete(x.goods, name)
		x.mu.Unlock()
	}()
	return use(scheme + "://" + name)
}

func (x *exchange) get(name string) endpoint {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.goods[name]
}

// Listen gives zmq4 the listener with a name.
func (x *exchange) Listen(_ context.Context, name string) (net.Listener, error) {
	if e := x.get(name); e.listener != nil {
		return e.listener, nil
	}
	return nil, fmt.Errorf("no listener %q", name)
}

// Dial gives zmq4 the connection with a name.
func (x *exchange) Dial(_ context.Context, _ transport.Dialer, name string) (net.Conn, error) {
	if e := x.get(name); e.conn != nil {
		return e.conn, nil
	}
	return nil, fmt.Errorf("no connection %q", name)
}

// Addr is the name itself.
func (x *exchange) Addr(name string) (string, error) { return name, nil }

// threshold is the listener of one zmq4 socket. Over it come finished connections only, so that zmq4, which does its
// handshakes one after the other, never waits for a peer.
type threshold struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newThreshold(addr net.Addr) *threshold {
	return &threshold{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (t *threshold) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.done:
		return nil, net.ErrClosed
	}
}

func (t *threshold) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}

func (t *threshold) Addr() net.Addr { return t.addr }

// engineOptions are those of each zmq4 socket. What zmq4 logs is about handshakes that it did with us.
func engineOptions() []zmq4.Option {
	return []zmq4.Option{zmq4.WithLogger(log.New(io.Discard, "", 0)), zmq4.WithDialerMaxRetries(0)}
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
