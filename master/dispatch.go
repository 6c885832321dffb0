package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/keyring"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/quiet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// answer serves one kind of request that minions send.
type answer func(ctx context.Context, minion fleet.MinionID, body json.RawMessage) (any, error)

// dispatcher is the master's side of the bus: jobs out, returns in.
type dispatcher struct {
	bus      *bus.Server
	journal  *journal.Journal
	keyring  *keyring.Keyring
	roster   *roster
	presence *presence
	sign     wire.SigningKey
	answers  map[string]answer
	back     func(fleet.MinionID)                   // a minion has said hello
	hold     func(minion fleet.MinionID, held bool) // what a hello says of the highstate at start
	log      *slog.Logger

	returns  chan wireReturn
	stopping atomic.Bool // minions that are cut off now are expected back by the next master
	intake   intake
	slow     slow
	live     live

	identify func(document, signature []byte, now time.Time) (string, error) // nil: no cloud vouches for instances

	publishing sync.Mutex // held from numbering jobs to sending them: each minion sees its jobs in order
}

// receive takes messages off the bus until ctx is done.
func (d *dispatcher) receive(ctx context.Context) error {
	unhandled := quiet.New(func(counts ...any) { d.log.Warn("messages from minions not handled", counts...) })
	defer unhandled.Stop()
	defer d.slow.running.Wait()
	for {
		from, body, err := d.bus.Recv(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("receive from the bus: %w", err)
		}
		if err := d.handle(ctx, from, body); err != nil && ctx.Err() == nil {
			unhandled.Note("messages", "last_minion", from, "last_error", err)
		}
	}
}

func (d *dispatcher) handle(ctx context.Context, from string, body []byte) error {
	msg, err := wire.Decode(body)
	if err != nil {
		return err
	}
	if keyring.IsPending(from) {
		return d.pending(ctx, from, msg)
	}
	minion := fleet.MinionID(from)
	if !d.roster.seen(minion, time.Now()) {
		return fmt.Errorf("%s was revoked", minion) // what it sent just before its connection was cut
	}
	switch m := msg.(type) {
	case wire.Hello:
		return d.hello(ctx, minion, m)
	case wire.Ack:
		if m.Refused != "" {
			return d.journal.Refuse(ctx, minion, m.Seq, m.Refused)
		}
		d.enqueue(ctx, wireReturn{from: minion, ack: m.Seq})
		return nil
	case wire.Ret:
		m.Return.Minion = minion // the connection's word, not the message's
		d.enqueue(ctx, wireReturn{from: minion, ret: m})
		return nil
	case wire.Chunk:
		r, err := d.chunk(minion, m)
		if r != nil {
			d.enqueue(ctx, *r)
		}
		return err
	case wire.Probe:
		return d.probe(minion, m)
	case wire.Log:
		return d.live.take(minion, m)
	case wire.Enrol:
		return d.send(from, wire.Ctl{Verb: wire.CtlAccepted})
	case wire.Request:
		return d.request(ctx, minion, m)
	default:
		return fmt.Errorf("a minion does not send %T", msg)
	}
}

// pending serves a peer whose key is not accepted: it may enrol, and nothing else.
func (d *dispatcher) pending(ctx context.Context, from string, msg any) error {
	m, ok := msg.(wire.Enrol)
	if !ok {
		return d.send(from, wire.Ctl{Verb: wire.CtlEnrol})
	}
	key, addr, ok := d.bus.Peer(from)
	if !ok {
		return nil
	}
	state, doubt := d.vouched(ctx, key, m, addr.String())
	var err error
	if state == "" {
		state, err = d.keyring.Enrol(ctx, key, m.ID, m.Token, addr.String())
	}
	if err != nil {
		return errors.Join(err, d.send(from, wire.Ctl{Verb: wire.CtlRejected, Reason: err.Error()}))
	}
	if state == fleet.KeyAccepted {
		return nil // its connection is cut, see Master.keyChanged, and the next one has the minion's name
	}
	return errors.Join(doubt, d.send(from, wire.Ctl{Verb: wire.CtlPending, Reason: "waits for: brine keys accept " + string(m.ID)}))
}

// vouched accepts an instance that its cloud vouches for. Whoever is not believed waits for an operator as all others do.
func (d *dispatcher) vouched(ctx context.Context, key fleet.Key, m wire.Enrol, from string) (fleet.KeyState, error) {
	if len(m.Document) == 0 || m.Token != "" || d.identify == nil {
		return "", nil
	}
	by, err := d.identify(m.Document, m.Signature, time.Now())
	if err != nil {
		return "", fmt.Errorf("%s is not believed: %w", m.ID, err)
	}
	return d.keyring.EnrolAs(ctx, key, m.ID, by, from)
}

// hello writes down what the minion is, and sends what it missed and is still due.
func (d *dispatcher) hello(ctx context.Context, minion fleet.MinionID, m wire.Hello) error {
	d.roster.update(minion, m)
	d.hold(minion, m.Held)
	d.enqueue(ctx, wireReturn{from: minion, hello: true})
	d.publishing.Lock()
	defer d.publishing.Unlock()
	// All that it has not acknowledged: a minion knows a double by its id, and its numbers mean nothing to a new journal.
	due, err := d.journal.Arrived(ctx, minion, time.Now())
	if err != nil {
		return err
	}
	if err := d.deliver(due.Jobs); err != nil {
		return err
	}
	if err := d.tellKill(due.Kill); err != nil {
		return err
	}
	d.presence.setReady(minion)
	d.log.Info("minion connected", "minion", minion, "version", m.Version, "missed", len(due.Jobs), "spooled", m.Spooled)
	d.back(minion)
	return nil
}

func (d *dispatcher) request(ctx context.Context, minion fleet.MinionID, m wire.Request) error {
	serve, ok := d.answers[m.Kind]
	if !ok {
		return d.send(string(minion), wire.Reply{ID: m.ID, Error: fmt.Sprintf("unknown request %q", m.Kind)})
	}
	if takesTime(m.Kind) {
		return d.answerAside(ctx, minion, m, serve)
	}
	return d.answer(ctx, minion, m, serve)
}

func (d *dispatcher) send(to string, msg any) error {
	body, err := wire.Encode(msg)
	if err != nil {
		return fmt.Errorf("encode %T: %w", msg, err)
	}
	if err := d.bus.Send(to, body); err != nil && !errors.Is(err, bus.ErrNotConnected) {
		return fmt.Errorf("send %T to %s: %w", msg, to, err)
	}
	return nil
}

// connected and disconnected are the bus's callbacks.
func (d *dispatcher) connected(p bus.Peer) {
	if !keyring.IsPending(p.Identity) {
		d.presence.connected(fleet.MinionID(p.Identity), p.Number, p.From.String(), time.Now())
	}
}

func (d *dispatcher) disconnected(p bus.Peer) {
	if keyring.IsPending(p.Identity) {
		return
	}
	minion, now := fleet.MinionID(p.Identity), time.Now()
	d.sendChunkAcks(d.intake.forget(minion, now))
	stopping := d.stopping.Load() // the next master finds in the journal who was connected
	if !stopping {
		if err := d.lost(minion); err != nil {
			d.log.Error("not noted that jobs may have arrived", "minion", minion, "error", err)
		}
	}
	if d.presence.disconnected(minion, p.Number, now) && !stopping {
		d.log.Info("minion disconnected", "minion", minion, "from", strings.TrimSpace(p.From.String()))
		d.roster.gone(minion, now)
	}
}

// lost notes, before the minion counts as away, that what it has not acknowledged may have arrived.
func (d *dispatcher) lost(minion fleet.MinionID) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return d.journal.Disconnected(ctx, minion)
}
