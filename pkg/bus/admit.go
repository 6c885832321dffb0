package bus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// maxIdentity bounds an identity: zmq4 cuts what it knows a peer by at 255 bytes.
const maxIdentity = 200

// enter runs the handshake with who is at the door, and then hands the connection to zmq4.
func (s *Server) enter(raw net.Conn) (then func(context.Context), err error) {
	l, err := s.handshake(raw)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		select {
		case l.shard.threshold.conns <- l.conn:
		case <-ctx.Done():
			l.kill(errClosedHere)
			l.Close() //nolint:errcheck // in place of zmq4, which never got it
		}
	}, nil
}

// handshakeBuffer is what a connection reads at a time. Frames that are larger are read into what they are kept in, so this
// is for what is small, and each connection has one for as long as it lives.
const handshakeBuffer = 512

func (s *Server) handshake(raw net.Conn) (*link, error) {
	if err := raw.SetDeadline(time.Now().Add(s.cfg.Limits.HandshakeTimeout)); err != nil {
		return nil, err
	}
	var l *link
	in := bufio.NewReaderSize(raw, handshakeBuffer)
	session, err := serveHandshake(raw, in, s.cfg.Key, kindRouter, func(key fleet.Key) (r *refusal) {
		l, r = s.authorize(key, raw.RemoteAddr())
		return r
	})
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		if l != nil {
			s.forget(l)
		}
		return nil, err
	}
	s.connect(l, raw, in, session)
	return l, nil
}

// authorize makes a link for the owner of key, if it may have one. What it counts, forget takes back.
func (s *Server) authorize(key fleet.Key, from net.Addr) (*link, *refusal) {
	s.mu.Lock()
	epoch := s.epoch // before asking: a Disconnect from here on means this link too
	s.mu.Unlock()
	identity, err := s.cfg.Authorize(key, from)
	if err != nil {
		return nil, &refusal{reasonRefused, fmt.Errorf("refused: %w", err)}
	}
	if identity == "" || len(identity) > maxIdentity {
		return nil, &refusal{reasonRefused, fmt.Errorf("identity %q cannot be used", identity)}
	}
	l := &link{Peer: Peer{Identity: identity, Key: key, From: from}, guest: s.cfg.Guest != nil && s.cfg.Guest(identity), epoch: epoch}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers++
	l.Number = s.numbers
	if l.guest {
		if !s.seat() {
			return nil, &refusal{reasonBusy, errManyGuests}
		}
		s.guests[l] = true
	}
	l.shard = s.shardOf(identity)
	l.route = fmt.Appendf(nil, "%s/%d", identity, l.Number)
	return l, nil
}

// seat makes sure that there is a place for one more guest: when all are taken, the oldest connection gives up its own.
// It reports false when all places belong to handshakes that are not over. mu is held.
func (s *Server) seat() bool {
	if len(s.guests) < s.cfg.Limits.Guests {
		return true
	}
	var oldest *link
	for l := range s.guests {
		if s.all[l] && (oldest == nil || l.Number < oldest.Number) {
			oldest = l
		}
	}
	if oldest == nil {
		return false
	}
	delete(s.guests, oldest)
	oldest.kill(errGuestAway)
	s.counters.evicted.Add(1)
	return true
}

// connect makes the connection of a link whose handshake is done.
func (s *Server) connect(l *link, raw net.Conn, in *bufio.Reader, session session) {
	s.conns.Add(1) // until released
	limits := &s.cfg.Limits
	if l.guest {
		own := s.cfg.Limits
		own.MaxAge = own.GuestAge
		limits = &own
	}
	o := newOutbox(raw, session, limits, &s.conns)
	o.sendDirectly()
	l.conn = newConn(o, in, metadata{kindDealer, string(l.route)})
	l.conn.guest = l.guest
	l.conn.window = newWindow(limits, o.done, s.closing)
	l.hooks = hooks{attached: func(*conn) { s.attached(l) }, released: func(*conn) { s.released(l) }}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[l] = true
}

// attached makes l the connection of its identity and of its key: the newest wins.
func (s *Server) attached(l *link) {
	s.events.Lock()
	defer s.events.Unlock()
	old, ok := s.replace(l)
	for _, o := range old {
		o.kill(errReplaced)
		s.disconnected(o)
	}
	if !ok {
		l.kill(errReplaced)
		return
	}
	s.log.Debug("peer connected", "peer", l.Identity, "from", l.From.String(), "number", l.Number)
	if s.cfg.Connected != nil {
		s.cfg.Connected(l.Peer)
	}
}

// replace puts l where its identity and key are looked up, and returns those that were there. It is not ok when one of
// them is newer, or when l was disconnected since its key was authorized.
func (s *Server) replace(l *link) (old []*link, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.shard.cut > l.epoch { // this identity, or another of the same shard: then it comes back soon
		return nil, false
	}
	for _, o := range []*link{s.byIdentity[l.Identity], s.byKey[l.Key]} {
		if o == nil {
			continue
		}
		if o.Number > l.Number {
			return old, false
		}
		if s.unlist(o) {
			old = append(old, o)
		}
	}
	s.byIdentity[l.Identity], s.byKey[l.Key] = l, l
	return old, true
}

// unlist takes l from where it is looked up, and reports whether it was there. mu is held.
func (s *Server) unlist(l *link) bool {
	if s.byIdentity[l.Identity] != l {
		return false
	}
	delete(s.byIdentity, l.Identity)
	delete(s.byKey, l.Key)
	return true
}

// released ends l after zmq4 has let go of it.
func (s *Server) released(l *link) {
	defer s.conns.Done()
	s.events.Lock()
	defer s.events.Unlock()
	if s.forget(l) {
		s.disconnected(l)
	}
}

// forget takes back all that was counted for l, and reports whether it was the connection of its identity.
func (s *Server) forget(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, l)
	delete(s.guests, l)
	return s.unlist(l)
}

func (s *Server) disconnected(l *link) {
	err := l.end()
	s.countEnd(l, err)
	s.log.Debug("peer disconnected", "peer", l.Identity, "from", l.From.String(), "number", l.Number, "reason", err)
	if s.cfg.Disconnected != nil {
		s.cfg.Disconnected(l.Peer)
	}
}

// countEnd counts a connection that ended otherwise than it should.
func (s *Server) countEnd(l *link, err error) {
	is := func(causes ...error) bool {
		return slices.ContainsFunc(causes, func(c error) bool { return errors.Is(err, c) })
	}
	switch {
	case is(errOverflow):
		s.counters.overflows.Add(1)
	case is(errSilent):
		s.counters.silent.Add(1)
	case is(errFrame, errBox, ErrTooBig, errCommands, errGuestTalks):
		s.counters.broken.Add(1)
		s.entrance.rejected.Note("broken", "last_peer", l.Identity, "last_from", l.From.String(), "last_error", err)
	}
}

// identityOf returns the identity in a route.
func identityOf(route []byte) string { return string(route[:bytes.LastIndexByte(route, '/')]) }
