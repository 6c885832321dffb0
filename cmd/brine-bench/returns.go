package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/wire"
)

// What real Salt 3006.16 does on this class of machine, recorded.
const (
	salt        = "Salt 3006.16, recorded"
	saltReturns = 341  // a second, from 1,000 simulated minions
	saltCPU     = 4.0  // milliseconds of the master for each of these
	saltPing    = 6.15 // seconds of salt '*' test.ping with 60 minions
	saltMaster  = 229  // MB of a master without minions, PSS
	saltMinion  = 72   // MB of a minion, PSS
)

// perMinion is how many returns each minion has to send.
const perMinion = 20

// returns measures returns that are in the journal and acknowledged, and how long it takes until they can be read. The master's
// CPU is that of both.
func returns(ctx context.Context, b *bench) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	s := newSwarm(b.keys[:b.active], b.bus, b.master.Bus, brine)
	defer s.close()
	if err := s.connect(ctx, 0, b.active); err != nil {
		return err
	}
	s.run(ctx, 0, b.active)
	if err := s.allReady(ctx, b.active); err != nil {
		return err
	}
	n := b.active * perMinion
	var rates, readable, work []float64
	err := b.profiled(ctx, "returns", func() error {
		for range b.reps + 1 {
			if err := b.handOut(ctx, s); err != nil {
				return err
			}
			before, begun := b.cpu(), time.Now()
			took, err := s.goAll(ctx, b.active)
			if err != nil {
				return err
			}
			if err := b.get(ctx, "/v1/jobs?limit=1", nil); err != nil { // waits for the tables
				return err
			}
			readable = append(readable, float64(n)/time.Since(begun).Seconds())
			rates = append(rates, float64(n)/took.Seconds())
			work = append(work, ms(b.cpu()-before)/float64(n))
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.close()
	b.kill()
	theirs, err := b.peerEcho(ctx, n)
	if err != nil {
		return err
	}
	rate := median(rates[1:])
	b.report.against(fmt.Sprintf("durable returns of %d minions", b.active), rate, "1/s", "libzmq ROUTER echo, same clients", theirs, ">= 0.5")
	b.report.alone("  until they are in the tables too", median(readable[1:]), "1/s", "")
	b.report.against("durable returns", rate, "1/s", salt, saltReturns, ">= 50")
	b.report.against("master's CPU per return", median(work[1:]), "ms", salt, saltCPU, "<= 0.02")
	return nil
}

// handOut gives each minion the jobs that it will return.
func (b *bench) handOut(ctx context.Context, s *swarm) error {
	var ids []string
	for _, m := range s.minions {
		ids = append(ids, string(m.id))
	}
	done := s.count.expect(b.active * perMinion)
	for range perMinion {
		if err := b.publish(ctx, "L@"+strings.Join(ids, ","), 0); err != nil {
			return err
		}
	}
	if _, err := await(ctx, &s.count, done); err != nil {
		return err
	}
	return pause(ctx, 3*ackPatience) // acknowledgements
}

// peerEcho gives the messages a second that libzmq sends back.
func (b *bench) peerEcho(ctx context.Context, n int) (float64, error) {
	m := &minion{id: minionID(0)}
	ret, err := wire.Encode(m.ret(1, "20260101-000000-01234567"))
	if err != nil {
		return 0, err
	}
	r, err := b.libzmq()
	if err != nil {
		return 0, err
	}
	defer r.close()
	s := newSwarm(b.keys[:b.active], r.addr, r.key, echoing(perMinion, len(ret)-1))
	defer s.close()
	if err := s.connect(ctx, 0, b.active); err != nil {
		return 0, err
	}
	s.run(ctx, 0, b.active)
	if err := s.allReady(ctx, b.active); err != nil {
		return 0, err
	}
	var rates []float64
	for range b.reps + 1 {
		took, err := s.goAll(ctx, n)
		if err != nil {
			return 0, err
		}
		rates = append(rates, float64(n)/took.Seconds())
	}
	return median(rates[1:]), nil
}

// ping measures the way of one order: from the API through the journal to a minion, and back into the journal.
func ping(ctx context.Context, b *bench) error {
	const rounds = 50
	if err := b.start(ctx); err != nil {
		return err
	}
	s := newSwarm(b.keys[:1], b.bus, b.master.Bus, brine)
	defer s.close()
	s.minions[0].answers = true
	s.run(ctx, 0, 1)
	if err := s.allReady(ctx, 1); err != nil {
		return err
	}
	var ours, theirs []float64
	for range rounds {
		done, begun := s.count.expect(1), time.Now()
		if err := b.publish(ctx, "L@"+string(minionID(0)), 0); err != nil {
			return err
		}
		last, err := await(ctx, &s.count, done)
		if err != nil {
			return err
		}
		ours = append(ours, ms(last.Sub(begun)))
	}
	r, err := b.libzmq()
	if err != nil {
		return err
	}
	defer r.close()
	e := newSwarm(b.keys[:1], r.addr, r.key, echoing(1, pubSize))
	defer e.close()
	e.run(ctx, 0, 1)
	if err := e.allReady(ctx, 1); err != nil {
		return err
	}
	for range rounds {
		took, err := e.goAll(ctx, 1)
		if err != nil {
			return err
		}
		theirs = append(theirs, ms(took))
	}
	b.report.against("round trip of a ping, journalled twice", median(ours), "ms", "libzmq echo", median(theirs), "")
	return nil
}

const (
	bulkCount = 100
	bulkSize  = 1 << 20
)

// bulk measures large messages from one minion, over the bare bus.
func bulk(ctx context.Context, b *bench) error {
	var ours, theirs []float64
	for range b.reps {
		for _, side := range []struct {
			start func() (*router, error)
			into  *[]float64
		}{{b.bareBus, &ours}, {b.libzmq, &theirs}} {
			r, err := side.start()
			if err != nil {
				return err
			}
			rate, err := b.timeBulk(ctx, r)
			r.close()
			if err != nil {
				return err
			}
			*side.into = append(*side.into, rate)
		}
	}
	b.report.against("bulk, 100 x 1 MiB", median(ours), "MiB/s", "libzmq ROUTER, same client", median(theirs), ">= 0.5")
	return nil
}

func (b *bench) timeBulk(ctx context.Context, r *router) (float64, error) {
	s := newSwarm(b.keys[:1], r.addr, r.key, nil)
	defer s.close()
	if err := s.connect(ctx, 0, 1); err != nil {
		return 0, err
	}
	m := s.minions[0]
	body := append([]byte("B"), make([]byte, bulkSize-1)...)
	begun := time.Now()
	for range bulkCount {
		if err := m.Send(ctx, body); err != nil {
			return 0, err
		}
	}
	if err := m.Send(ctx, []byte("D")); err != nil {
		return 0, err
	}
	if _, err := m.Recv(ctx); err != nil {
		return 0, err
	}
	return bulkCount / time.Since(begun).Seconds(), nil
}
