package minion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/minion/grains"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// errAgain ends a connection that has to be made anew: the key's standing has changed.
var errAgain = errors.New("connect again")

// session is one connection to the master.
type session struct {
	*Minion
	client *bus.Client
	start  func(fleet.Job) // lets a job run; it outlives the session: a cut connection stops no job

	welcome chan struct{} // closed when the master says that this connection's key is accepted
	once    sync.Once

	enrolled atomic.Bool // an enrolment was sent, and this connection is not welcome yet

	echoed    chan struct{} // gets a value when a probe is answered
	chunkAcks chan wire.ChunkAck
	acks      *acks
}

// serve runs one connection until it breaks.
func (m *Minion) serve(ctx context.Context, client *bus.Client, start func(fleet.Job)) error {
	s := &session{
		Minion: m, client: client, start: start, welcome: make(chan struct{}),
		echoed: make(chan struct{}, 1), chunkAcks: make(chan wire.ChunkAck, wire.Window/wire.ChunkSize+1),
		acks: newAcks(),
	}
	defer m.asker.detach()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.receive(ctx) })
	g.Go(func() error {
		if err := s.enter(ctx); err != nil {
			return err
		}
		if err := s.greet(ctx); err != nil {
			return err
		}
		s.asker.attach(s)
		g.Go(func() error { return s.probes(ctx) })
		g.Go(func() error { return s.sendAcks(ctx) })
		g.Go(func() error { return s.sendLines(ctx) })
		return s.sendReturns(ctx)
	})
	err := g.Wait()
	if s.enrolled.Load() {
		return fmt.Errorf("%w: %w", bus.ErrSoon, err) // the master cuts the connection of one that it has accepted
	}
	return err
}

// enter waits until the key is accepted. A minion that was accepted once says hello at once; should the master not know
// it any more, it asks for an enrolment.
func (s *session) enter(ctx context.Context) error {
	if s.accepted.Load() {
		return nil
	}
	if err := s.enrol(ctx); err != nil {
		return err
	}
	select {
	case <-s.welcome:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enrol asks to be accepted; the master's answer comes through receive.
func (s *session) enrol(ctx context.Context) error {
	token := s.cfg.Token.Reveal()
	if token == "" && s.cfg.TokenFile != "" {
		b, err := os.ReadFile(s.cfg.TokenFile)
		if err != nil {
			return fmt.Errorf("token_file: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	m := wire.Enrol{ID: fleet.MinionID(s.cfg.ID), Token: token, Version: s.version}
	if token == "" {
		var err error
		if m.Document, m.Signature, err = grains.Identity(ctx, s.cfg.Cloud); err != nil {
			s.log.Warn("instance identity document not read", "error", err)
		}
	}
	s.enrolled.Store(true)
	return s.send(ctx, m)
}

// greet says hello, and asks for the highstate once in a run. The probe comes first, so that its echo comes before the
// first job, whose deadline is the master's time.
func (s *session) greet(ctx context.Context) error {
	if err := s.sendProbe(ctx); err != nil {
		return err
	}
	facts := s.facts(ctx)
	hello := wire.Hello{
		Boot: s.boot, LastSeq: s.inbox.LastSeq(), Spooled: s.spool.Len(), Grains: facts, Tags: s.tags(facts), Version: s.version,
		Held: s.highstate.held(),
	}
	if err := s.send(ctx, hello); err != nil {
		return err
	}
	s.told.set(facts)
	return s.askHighstate(ctx)
}

func (s *session) send(ctx context.Context, msg any) error {
	body, err := wire.Encode(msg)
	if err != nil {
		return fmt.Errorf("encode %T: %w", msg, err)
	}
	if err := s.client.Send(ctx, body); err != nil {
		return fmt.Errorf("send %T: %w", msg, err)
	}
	return nil
}

func (s *session) receive(ctx context.Context) error {
	for {
		body, err := s.client.Recv(ctx)
		if err != nil {
			return err
		}
		msg, err := wire.Decode(body)
		if err != nil {
			s.log.Warn("message from the master not understood", "error", err)
			continue
		}
		if err := s.handle(ctx, msg); err != nil {
			return err
		}
	}
}

func (s *session) handle(ctx context.Context, msg any) error {
	switch m := msg.(type) {
	case wire.Job:
		return s.job(ctx, m)
	case wire.Rack:
		return s.spool.Ack(m.RSeq)
	case wire.Chunk:
		s.asker.deliver(m.ID, m)
		return nil
	case wire.ChunkAck:
		select {
		case s.chunkAcks <- m:
		case <-ctx.Done():
		}
		return nil
	case wire.Echo:
		if s.way.echoed(m) {
			select {
			case s.echoed <- struct{}{}:
			default:
			}
		}
		return nil
	case wire.Reply:
		return s.reply(m)
	case wire.Ctl:
		return s.control(ctx, m)
	default:
		s.log.Warn("the master does not send this", "type", fmt.Sprintf("%T", msg))
		return nil
	}
}

func (s *session) reply(m wire.Reply) error {
	if m.ID == highstateRequest {
		s.highstateAnswered(m)
	} else {
		s.asker.deliver(m.ID, m)
	}
	return nil
}

func (s *session) control(ctx context.Context, m wire.Ctl) error {
	switch m.Verb {
	case wire.CtlAccepted:
		if err := renameio.WriteFile(s.acceptedMark(), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o600); err != nil {
			return fmt.Errorf("remember that the key is accepted: %w", err)
		}
		s.accepted.Store(true)
		s.log.Info("the master accepted this minion")
		s.enrolled.Store(false)
		s.once.Do(func() { close(s.welcome) })
	case wire.CtlEnrol:
		return s.enrol(ctx)
	case wire.CtlPending:
		s.log.Info("waiting to be accepted", "fingerprint", s.key.Public.Fingerprint(), "hint", m.Reason)
	case wire.CtlRejected:
		s.log.Error("the master refused this minion", "reason", m.Reason)
	case wire.CtlKill:
		return s.kill(m.Job, m.Reason)
	case wire.CtlLog:
		s.live.want(m.Job, time.Now().Add(wire.LogLease))
	case wire.CtlBye:
		return errAgain
	default:
		s.log.Warn("unknown control message", "verb", m.Verb)
	}
	return nil
}

// job checks an order, writes it down, and only then lets it run. It is acknowledged a little later, or by its return. One
// that is wrong in any way is written down as well, and its refusal is its outcome. From here on the deadline is one of this
// host's clock.
func (s *session) job(ctx context.Context, m wire.Job) error {
	job, err := wire.Open(s.masterKey.Sign, m.Body, m.Sig)
	if err != nil {
		s.log.Error("job refused: its signature is wrong", "seq", m.Seq, "error", err)
		return s.send(ctx, wire.Ack{Seq: m.Seq, Refused: err.Error()})
	}
	job.Deadline = s.way.here(job.Deadline)
	fresh, err := s.inbox.Take(m.Seq, job)
	if err != nil {
		return fmt.Errorf("write job %s down: %w", job.ID, err)
	}
	s.acks.add(m.Seq, job.ID)
	if fresh { // should the connection break before the ack: it will come again, and not be fresh
		s.start(job)
	}
	return nil
}
