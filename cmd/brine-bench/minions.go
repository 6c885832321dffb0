package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// swarm is many simulated minions. Each has its own address on the loopback, as hosts have.
type swarm struct {
	serve   func(context.Context, *minion) error // what each does with its connection
	minions []*minion
	stop    context.CancelFunc
	work    sync.WaitGroup
	count   counter               // of what a measurement waits for
	ready   atomic.Int64          // whose hello was answered
	errs    atomic.Pointer[error] // the last failure to connect
}

// minion is one of them. Its fields are its goroutine's.
type minion struct {
	*swarm
	*bus.Client
	cfg     bus.ClientConfig
	id      fleet.MinionID
	lastSeq uint64
	rseq    uint64
	jobs    [][]byte // that it has taken and not returned
	unacked []uint64 // numbers of those of them that it has not acknowledged
	greeted bool
	answers bool                             // returns at once
	result  func(job []byte) json.RawMessage // what it returns; "true" when nil
	goes    chan struct{}                    // gets a token when jobs are to be returned
}

// newSwarm makes minions that connect to a server with the given key at addr.
func newSwarm(keys []bus.KeyPair, addr string, server fleet.Key, serve func(context.Context, *minion) error) *swarm {
	s := &swarm{serve: serve, stop: func() {}}
	for i, key := range keys {
		from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}
		s.minions = append(s.minions, &minion{
			swarm: s, id: minionID(i), goes: make(chan struct{}, 1),
			cfg: bus.ClientConfig{Master: addr, Key: key, MasterKey: server, Dialer: net.Dialer{LocalAddr: from}},
		})
	}
	return s
}

// dialers is how many handshakes are under way at a time where that is the measurement.
const dialers = 64

// connect makes all connections of the minions from to to, and returns when all are made.
func (s *swarm) connect(ctx context.Context, from, to int) error {
	work := make(chan *minion)
	errs := make(chan error, dialers)
	var done sync.WaitGroup
	for range dialers {
		done.Go(func() {
			for m := range work {
				c, err := bus.Dial(ctx, m.cfg)
				if err != nil {
					select {
					case errs <- fmt.Errorf("connect %s: %w", m.id, err):
					default:
					}
					continue
				}
				m.Client = c
			}
		})
	}
	for _, m := range s.minions[from:to] {
		work <- m
	}
	close(work)
	done.Wait()
	close(errs)
	return <-errs
}

// run lets the minions from to to serve their connections, and connect again when they break.
func (s *swarm) run(ctx context.Context, from, to int) {
	ctx, stop := context.WithCancel(ctx)
	before := s.stop
	s.stop = func() { before(); stop() }
	for _, m := range s.minions[from:to] {
		s.work.Go(func() {
			if m.Client != nil {
				m.serveOne(ctx, m.Client) //nolint:errcheck // it is made anew
			}
			bus.Stay(ctx, m.cfg, m.serveOne, func(err error, _ time.Duration) { s.errs.Store(&err) }) //nolint:errcheck // it is ctx's
		})
	}
}

func (m *minion) serveOne(ctx context.Context, c *bus.Client) error {
	defer c.Close() //nolint:errcheck // it gives none
	m.Client = c
	return m.serve(ctx, m)
}

// close ends all connections.
func (s *swarm) close() {
	s.stop()
	s.work.Wait()
	var done sync.WaitGroup
	slots := make(chan struct{}, dialers)
	for _, m := range s.minions {
		if m.Client == nil {
			continue
		}
		slots <- struct{}{}
		done.Go(func() {
			m.Close() //nolint:errcheck // it gives none
			<-slots
		})
	}
	done.Wait()
}

// allReady waits until n hellos have been answered.
func (s *swarm) allReady(ctx context.Context, n int) error {
	err := until(ctx, fmt.Sprintf("%d minions are connected", n), func() bool { return s.ready.Load() >= int64(n) })
	if last := s.errs.Load(); err != nil && last != nil {
		return fmt.Errorf("%w (%d are; the last failure: %w)", err, s.ready.Load(), *last)
	}
	return err
}

// goAll lets all minions send what they have, and gives the time until n answers have come.
func (s *swarm) goAll(ctx context.Context, n int) (time.Duration, error) {
	done, begun := s.count.expect(n), time.Now()
	for _, m := range s.minions {
		m.goes <- struct{}{}
	}
	last, err := await(ctx, &s.count, done)
	return last.Sub(begun), err
}

// counter tells when something has happened often enough, and the time of the last.
type counter struct {
	left atomic.Int64
	done atomic.Pointer[chan time.Time]
}

// expect starts a count.
func (c *counter) expect(n int) <-chan time.Time {
	done := make(chan time.Time, 1)
	c.done.Store(&done)
	c.left.Store(int64(n))
	return done
}

func (c *counter) hit() {
	if c.left.Add(-1) == 0 {
		*c.done.Load() <- time.Now()
	}
}

// await waits for the end of a count.
func await(ctx context.Context, c *counter, done <-chan time.Time) (time.Time, error) {
	select {
	case t := <-done:
		return t, nil
	case <-time.After(patience):
		return time.Time{}, fmt.Errorf("%d are missing after %s", c.left.Load(), patience)
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// brine is what a minion does with a connection to the master. Signatures are not checked: that is work of the minions' own
// processors, of which a fleet has many and this machine has two.
func brine(ctx context.Context, m *minion) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := m.tell(ctx, wire.Hello{
		Boot: "bench", LastSeq: m.lastSeq, Version: "bench",
		Grains: fleet.Grains{"id": string(m.id), "os": "Debian", "osfamily": "Debian", "kernel": "Linux", "cpuarch": "x86_64", "num_cpus": 2, "mem_total": 4 << 30},
	})
	if err != nil {
		return err
	}
	if err := m.tell(ctx, wire.Request{ID: 1, Kind: "bench"}); err != nil { // is refused, once the hello is answered
		return err
	}
	m.greeted = false
	defer func() {
		if m.greeted {
			m.ready.Add(-1)
		}
	}()
	inbox, broken := make(chan any), make(chan error, 1)
	go func() { broken <- m.listen(ctx, inbox) }()
	m.unacked = nil
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for {
		select {
		case msg := <-inbox:
			owing := len(m.unacked) > 0
			if err := m.handle(ctx, msg); err != nil {
				return err
			}
			if !owing && len(m.unacked) > 0 {
				due.Reset(ackPatience + rand.N(ackPatience))
			}
		case <-due.C:
			if err := m.acknowledge(ctx); err != nil {
				return err
			}
		case <-m.goes:
			if err := m.answer(ctx); err != nil {
				return err
			}
		case err := <-broken:
			return err
		}
	}
}

func (m *minion) listen(ctx context.Context, inbox chan<- any) error {
	for {
		body, err := m.Recv(ctx)
		if err != nil {
			return err
		}
		msg, err := wire.Decode(body)
		if err != nil {
			return err
		}
		select {
		case inbox <- msg:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *minion) handle(ctx context.Context, msg any) error {
	switch msg := msg.(type) {
	case wire.Job:
		if !m.answers {
			m.count.hit()
		}
		m.lastSeq = msg.Seq
		m.jobs = append(m.jobs, msg.Body)
		m.unacked = append(m.unacked, msg.Seq)
		if !m.answers {
			return nil
		}
		return m.answer(ctx)
	case wire.Rack:
		if msg.RSeq == m.rseq {
			m.count.hit()
		}
		return nil
	case wire.Reply:
		m.greeted = true
		m.ready.Add(1)
		return nil
	case wire.Ctl:
		return errors.New("the master says " + msg.Verb)
	default:
		return nil
	}
}

// ackPatience is that of a real minion.
const ackPatience = 500 * time.Millisecond

// acknowledge tells that the minion has the jobs that it has not returned meanwhile.
func (m *minion) acknowledge(ctx context.Context) error {
	for _, seq := range m.unacked {
		if err := m.tell(ctx, wire.Ack{Seq: seq}); err != nil {
			return err
		}
	}
	m.unacked = nil
	return nil
}

// answer returns all jobs that it has, which acknowledges them.
func (m *minion) answer(ctx context.Context) error {
	jobs := m.jobs
	m.jobs, m.unacked = nil, nil
	m.rseq += uint64(len(jobs))
	for i, body := range jobs {
		var job struct {
			ID fleet.JobID `json:"id"`
		}
		if err := json.Unmarshal(body, &job); err != nil {
			return fmt.Errorf("decode job: %w", err)
		}
		ret := m.ret(m.rseq-uint64(len(jobs)-1-i), job.ID)
		if m.result != nil {
			ret.Return.Value = m.result(body)
		}
		if err := m.tell(ctx, ret); err != nil {
			return err
		}
	}
	return nil
}

func (m *minion) ret(rseq uint64, job fleet.JobID) wire.Ret {
	return wire.Ret{RSeq: rseq, Return: fleet.Return{
		Job: job, Minion: m.id, Last: true, Time: time.Now(), Outcome: fleet.Succeeded, Value: json.RawMessage("true"),
	}}
}

func (m *minion) tell(ctx context.Context, msg any) error {
	body, err := wire.Encode(msg)
	if err != nil {
		return err
	}
	return m.Send(ctx, body)
}
