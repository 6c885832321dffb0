package bus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// ClientConfig says which master to connect to.
type ClientConfig struct {
	Master    string // host:port
	Key       KeyPair
	MasterKey fleet.Key // pinned: another master is not talked to
	Dialer    net.Dialer
	Limits    Limits
	Log       *slog.Logger // nil: no log
}

// Client is one connection of a minion. Its methods may be called at the same time. When it breaks it stays broken:
// see Stay.
type Client struct {
	limits  Limits
	conn    *conn
	socket  zmq4.Socket
	sending chan struct{} // held by who sends
	inbox   chan []byte   // closed when the connection has ended
	quit    chan struct{}
	once    sync.Once
	work    sync.WaitGroup
}

// Dial connects to the master and proves both sides' keys. ErrRefused: the master does not want our key; ErrBusy: not
// now; ErrHandshake: it does not have the pinned key. Other errors are the network's, or ctx's,
// which bounds Dial only.
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	if cfg.Key.secret == nil {
		return nil, errors.New("dial: a key is needed")
	}
	limits := cfg.Limits.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, limits.HandshakeTimeout)
	defer cancel()
	raw, err := cfg.Dialer.DialContext(ctx, "tcp", cfg.Master)
	if err != nil {
		return nil, fmt.Errorf("connect to the master: %w", err)
	}
	in := bufio.NewReaderSize(raw, handshakeBuffer)
	session, err := dialHandshake(ctx, raw, in, cfg)
	if err != nil {
		raw.Close() //nolint:errcheck // it is of no use any more
		return nil, fmt.Errorf("connect to the master %s: %w", cfg.Master, err)
	}
	orDiscard(cfg.Log).Debug("connected to the master", "master", cfg.Master)
	return newClient(raw, in, session, limits)
}

// dialHandshake is makeHandshake that ends with ctx.
func dialHandshake(ctx context.Context, raw net.Conn, in *bufio.Reader, cfg ClientConfig) (session, error) {
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // then it is closed
	s, err := makeHandshake(raw, in, cfg.Key, kindDealer, cfg.MasterKey)
	if !stop() {
		return session{}, fmt.Errorf("handshake: %w", ctx.Err())
	}
	return s, err
}

func newClient(raw net.Conn, in *bufio.Reader, s session, limits Limits) (*Client, error) {
	c := &Client{
		limits: limits, sending: make(chan struct{}, 1), inbox: make(chan []byte, inboxSize), quit: make(chan struct{}),
		socket: zmq4.NewDealer(context.Background(), engineOptions()...),
	}
	c.work.Add(1) // until released
	o := newOutbox(raw, s, &c.limits, &c.work)
	o.waitForRoom()
	c.conn = newConn(o, in, metadata{kindRouter, "master"})
	c.conn.hooks.released = func(*conn) { c.work.Done() }
	x, err := theExchange()
	if err == nil {
		err = x.open(endpoint{conn: c.conn}, c.socket.Dial)
	}
	if err != nil {
		return nil, errors.Join(err, c.conn.Close(), c.socket.Close())
	}
	c.work.Go(c.pump)
	return c, nil
}

// pump moves messages to the inbox until the connection has ended. Once the client is closed they are thrown away,
// because zmq4's reader ends only when it can pass on what it has read.
func (c *Client) pump() {
	defer c.socket.Close() //nolint:errcheck // it has no connections any more
	defer close(c.inbox)
	for {
		msg, err := c.socket.Recv()
		if err != nil {
			return
		}
		if len(msg.Frames) != 1 {
			continue // conn lets no such message through
		}
		select {
		case c.inbox <- msg.Frames[0]:
		case <-c.quit:
		}
	}
}

// Send queues body for the master, and waits while the queue is full; body must not be changed any more. That it returned nil
// does not mean that the master has it.
func (c *Client) Send(ctx context.Context, body []byte) error {
	if len(body) > c.limits.Message {
		return fmt.Errorf("send to the master: %w: %d bytes", ErrTooBig, len(body))
	}
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-ctx.Done():
		return fmt.Errorf("send to the master: %w", ctx.Err())
	}
	err := c.conn.wait(ctx)
	if err == nil {
		err = c.conn.push(body)
	}
	switch {
	case c.conn.end() != nil:
		return c.closed()
	case err != nil:
		return fmt.Errorf("send to the master: %w", err)
	}
	return nil
}

// Recv returns the next message. After the connection's last one it returns ErrClosed, with the reason.
func (c *Client) Recv(ctx context.Context) ([]byte, error) {
	select {
	case body, ok := <-c.inbox:
		if !ok {
			return nil, c.closed()
		}
		return body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Client) closed() error {
	return fmt.Errorf("connection to the master: %w: %w", ErrClosed, c.conn.end())
}

// Close ends the connection, after what is queued was sent or CloseTimeout has passed, and returns when everything
// that the client started has ended. It may be called more than once.
func (c *Client) Close() error {
	c.once.Do(func() {
		close(c.quit)
		c.conn.shut(errClosedHere)
	})
	c.work.Wait()
	return nil
}
