package minion

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/wire"
)

const (
	probeEvery = 2 * time.Minute // give or take a quarter
	// evenClocks is how far apart two clocks may be and count as the same.
	evenClocks = time.Second
	// wrongClock is how far apart they are when a person should know.
	wrongClock = 5 * time.Second
)

// way is what is known of the way to the master and of the master's clock. It outlives connections.
type way struct {
	mu        sync.Mutex // guards all below
	n         uint64
	sent      time.Time
	roundTrip time.Duration
	skew      time.Duration // this clock minus the master's
}

// probe makes the next probe, which tells what the ones before it have found.
func (w *way) probe(spooled int, dropped uint64) wire.Probe {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	w.sent = time.Now()
	return wire.Probe{N: w.n, RoundTrip: w.roundTrip, Skew: w.skew, Spooled: spooled, Dropped: dropped}
}

// echoed takes the answer to the newest probe, and reports whether it is one. The master read its clock somewhere between
// the two ends of the round trip, so half of that is how wrong the result may be.
func (w *way) echoed(e wire.Echo) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.N != w.n || w.sent.IsZero() {
		return false
	}
	w.roundTrip = max(time.Since(w.sent), time.Nanosecond)
	w.skew = w.sent.Add(w.roundTrip / 2).Sub(time.Unix(0, e.Now))
	w.sent = time.Time{}
	return true
}

// clockSkew is how far this clock is ahead of the master's, as far as can be told; zero when they agree.
func (w *way) clockSkew() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.skew.Abs() < max(evenClocks, w.roundTrip/2) {
		return 0
	}
	return w.skew
}

// here is an instant of the master's clock in this host's.
func (w *way) here(t time.Time) time.Time { return t.Add(w.clockSkew()) }

// probes measures the way now and then. The first answer is told of at once.
func (s *session) probes(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		select {
		case <-s.echoed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if pause == 0 {
			if skew := s.way.clockSkew(); skew.Abs() > wrongClock {
				s.log.Warn("this host's clock differs from the master's; deadlines are corrected for it", "ahead", skew.Round(time.Millisecond))
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = probeEvery*3/4 + rand.N(probeEvery/2)
		if err := s.sendProbe(ctx); err != nil {
			return err
		}
	}
}

func (s *session) sendProbe(ctx context.Context) error {
	return s.send(ctx, s.way.probe(s.spool.Len(), s.spool.Dropped()))
}
