package returners_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/returners"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a log without a disk.
type memory struct {
	mu      sync.Mutex
	records []fleet.Record
	cursors map[string]uint64
	changed chan struct{}
}

func newMemory() *memory {
	return &memory{cursors: map[string]uint64{}, changed: make(chan struct{})}
}

func (m *memory) append(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		m.records = append(m.records, fleet.Record{Seq: uint64(len(m.records)) + 1})
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) After(_ context.Context, seq uint64, limit int) ([]fleet.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records[seq:min(len(m.records), int(seq)+limit)]), nil
}

func (m *memory) End(context.Context) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.records)), nil
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *memory) Cursor(_ context.Context, name string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cursors[name], nil
}

func (m *memory) SetCursor(_ context.Context, name string, seq uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cursors[name] = seq
	return nil
}

// place is a returner that may be down.
type place struct {
	mu     sync.Mutex
	down   error
	got    []uint64
	tries  []time.Time
	closed bool
}

func (p *place) Deliver(_ context.Context, records []fleet.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries = append(p.tries, time.Now())
	if p.down != nil {
		return p.down
	}
	for _, r := range records {
		p.got = append(p.got, r.Seq)
	}
	return nil
}

func (p *place) Close() error {
	p.closed = true
	return nil
}

func (p *place) set(down error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *place) tried() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.tries)
}

// has checks that exactly the records from first to last were delivered, in order.
func (p *place) has(t *testing.T, first, last uint64) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, seq := range p.got {
		if seq != first+uint64(i) {
			t.Fatalf("record %d where %d was due", seq, first+uint64(i))
		}
	}
	if uint64(len(p.got)) != last+1-first {
		t.Fatalf("%d records, want %d to %d", len(p.got), first, last)
	}
}

// run runs a pump in a bubble until the returned function is called.
func run(t *testing.T, log returners.Log, name string, r returners.Returner, out *bytes.Buffer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	pump := returners.Pump{Name: name, Log: log, Returner: r, Logger: slog.New(slog.NewTextHandler(out, nil))}
	done := make(chan error)
	go func() { done <- pump.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestReturnerThatIsDownDelaysNobodyAndGetsEverythingLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, up, down := newMemory(), &place{}, &place{down: errors.New("no route to host")}
		var out bytes.Buffer
		log.append(1000)
		stopUp := run(t, log, "up", up, new(bytes.Buffer))
		stopDown := run(t, log, "down", down, &out)
		synctest.Wait()
		up.has(t, 1, 1000)
		log.append(1)
		synctest.Wait()
		up.has(t, 1, 1001)

		time.Sleep(time.Hour)
		tries := down.tried()
		for i := 1; i < len(tries); i++ {
			pause := tries[i].Sub(tries[i-1])
			if pause < 250*time.Millisecond || pause > time.Minute || i > 10 && pause < 30*time.Second {
				t.Errorf("pause %d was %v", i, pause)
			}
		}
		down.set(nil)
		time.Sleep(time.Minute)
		down.has(t, 1, 1001)
		stopUp()
		stopDown()
		if len(tries) < 60 {
			t.Errorf("%d tries in an hour", len(tries))
		}
		if !down.closed {
			t.Error("not closed")
		}
		if text := out.String(); !strings.Contains(text, "no route to host") || !strings.Contains(text, "delivered again") {
			t.Errorf("log %s", text)
		}
	})
}

func TestReturnerGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, first, second := newMemory(), &place{}, &place{}
		log.append(5)
		stop := run(t, log, "audit", first, new(bytes.Buffer))
		synctest.Wait()
		stop()
		log.append(3)
		stop = run(t, log, "audit", second, new(bytes.Buffer))
		synctest.Wait()
		stop()
		first.has(t, 1, 5)
		second.has(t, 6, 8)
	})
}

func TestRefusalIsLoggedAsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, p := newMemory(), &place{down: returners.ErrRefused}
		var out bytes.Buffer
		log.append(1)
		stop := run(t, log, "hook", p, &out)
		synctest.Wait()
		stop()
		if !strings.Contains(out.String(), "level=ERROR") {
			t.Errorf("log %s", out.String())
		}
	})
}

type page struct {
	place
	http.Handler
}

func (*page) Path() string { return "/page" }

func TestPageBeginsAtTheEndAndKeepsNoCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, p := newMemory(), &page{}
		log.append(5)
		stop := run(t, log, "page", p, new(bytes.Buffer))
		synctest.Wait()
		log.append(2)
		synctest.Wait()
		stop()
		p.has(t, 6, 7)
		if len(log.cursors) != 0 {
			t.Error("it has a cursor")
		}
	})
}
