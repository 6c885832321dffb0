package main

import (
	"context"
	"fmt"
	"time"
)

const pubSize = 1 << 10

// idle measures what connected minions cost that do nothing.
func idle(ctx context.Context, b *bench) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	s := newSwarm(b.keys[:b.minions], b.bus, b.master.Bus, brine)
	defer s.close()
	first := min(1000, b.minions/2)
	small, err := b.settled(ctx, s, 0, first)
	if err != nil {
		return err
	}
	large, err := b.settled(ctx, s, first, b.minions)
	if err != nil {
		return err
	}
	busy := b.cpu()
	if err := b.profiled(ctx, "idle", func() error { return pause(ctx, b.idle) }); err != nil {
		return err
	}
	large = min(large, b.rss())
	b.report.alone(fmt.Sprintf("master's memory per idle minion, %d to %d", first, b.minions), float64(large-small)/float64(b.minions-first)/1024, "KiB", "<= 16")
	share := 100 * float64(b.cpu()-busy) / float64(b.idle)
	b.report.alone(fmt.Sprintf("master's CPU with %d idle minions", b.minions), share, "% of core", fmt.Sprintf("<= %g", 5*float64(b.minions)/10000))
	return nil
}

// settled connects more minions and gives the master's memory once it has calmed down.
func (b *bench) settled(ctx context.Context, s *swarm, from, to int) (int64, error) {
	if err := s.connect(ctx, from, to); err != nil {
		return 0, err
	}
	s.run(ctx, from, to)
	if err := s.allReady(ctx, to); err != nil {
		return 0, err
	}
	lowest := b.rss()
	for range 10 {
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
		lowest = min(lowest, b.rss())
	}
	return lowest, nil
}

// fanout measures one job to each minion, its own copy, journalled before it is sent, until the last has it.
func fanout(ctx context.Context, b *bench) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	s := newSwarm(b.keys[:b.minions], b.bus, b.master.Bus, brine)
	defer s.close()
	if err := s.connect(ctx, 0, b.minions); err != nil {
		return err
	}
	s.run(ctx, 0, b.minions)
	if err := s.allReady(ctx, b.minions); err != nil {
		return err
	}
	var ours []float64
	err := b.profiled(ctx, "fanout", func() error {
		for range b.reps + 1 {
			done, begun := s.count.expect(b.minions), time.Now()
			if err := b.publish(ctx, "*", pubSize); err != nil {
				return err
			}
			last, err := await(ctx, &s.count, done)
			if err != nil {
				return err
			}
			ours = append(ours, ms(last.Sub(begun)))
			if err := pause(ctx, 3*ackPatience); err != nil { // acknowledgements
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.close()
	b.kill()
	_, theirs, err := b.publishToSubs(ctx, b.minions, pubSize, b.reps+1)
	if err != nil {
		return err
	}
	routed, err := b.peerFanout(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("1 KiB job to each of %d minions", b.minions)
	b.report.against(name, median(ours[1:]), "ms", "libzmq PUB, its own clients", median(theirs[1:]), "<= 2")
	b.report.against(name, median(ours[1:]), "ms", "libzmq ROUTER, same clients", median(routed[1:]), "")
	return nil
}

// peerFanout lets libzmq's ROUTER send to the same clients.
func (b *bench) peerFanout(ctx context.Context) (fanouts []float64, err error) {
	r, err := b.libzmq()
	if err != nil {
		return nil, err
	}
	defer r.close()
	s := newSwarm(b.keys[:b.minions], r.addr, r.key, echoing(0, 0))
	defer s.close()
	if err := s.connect(ctx, 0, b.minions); err != nil {
		return nil, err
	}
	s.run(ctx, 0, b.minions)
	if err := s.allReady(ctx, b.minions); err != nil {
		return nil, err
	}
	if err := pause(ctx, time.Second); err != nil { // until the router knows them
		return nil, err
	}
	for range b.reps + 1 {
		done, begun := s.count.expect(b.minions), time.Now()
		if _, err := fmt.Fprintf(r.in, "F %d\n", pubSize); err != nil {
			return nil, fmt.Errorf("tell libzmq to send: %w", err)
		}
		last, err := await(ctx, &s.count, done)
		if err != nil {
			return nil, err
		}
		fanouts = append(fanouts, ms(last.Sub(begun)))
	}
	return fanouts, nil
}

// handshakes measures how long it takes until all have proven their keys.
func handshakes(ctx context.Context, b *bench) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	var ours, theirs []float64
	err := b.profiled(ctx, "handshakes", func() error {
		for range 3 {
			d, err := timeConnect(ctx, newSwarm(b.keys[:b.minions], b.bus, b.master.Bus, brine))
			if err != nil {
				return err
			}
			ours = append(ours, d)
			if d, err = b.peerConnect(ctx); err != nil {
				return err
			}
			theirs = append(theirs, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.report.against(fmt.Sprintf("%d handshakes", b.minions), median(ours), "s", "libzmq ROUTER, same clients", median(theirs), "<= 1")
	return nil
}

func (b *bench) peerConnect(ctx context.Context) (float64, error) {
	r, err := b.libzmq()
	if err != nil {
		return 0, err
	}
	defer r.close()
	return timeConnect(ctx, newSwarm(b.keys[:b.minions], r.addr, r.key, nil))
}

func timeConnect(ctx context.Context, s *swarm) (float64, error) {
	defer s.close()
	begun := time.Now()
	if err := s.connect(ctx, 0, len(s.minions)); err != nil {
		return 0, err
	}
	return time.Since(begun).Seconds(), nil
}

// restart kills the master and measures until everybody is back.
func restart(ctx context.Context, b *bench) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	plain, err := timeConnect(ctx, newSwarm(b.keys[:b.minions], b.bus, b.master.Bus, brine))
	if err != nil {
		return err
	}
	s := newSwarm(b.keys[:b.minions], b.bus, b.master.Bus, brine)
	defer s.close()
	if err := s.connect(ctx, 0, b.minions); err != nil {
		return err
	}
	s.run(ctx, 0, b.minions)
	if err := s.allReady(ctx, b.minions); err != nil {
		return err
	}
	b.kill()
	begun := time.Now()
	if err := b.start(ctx); err != nil {
		return err
	}
	up := time.Since(begun)
	err = b.profiled(ctx, "restart", func() error { return s.allReady(ctx, b.minions) })
	if err != nil {
		return err
	}
	b.report.against(fmt.Sprintf("all of %d back after kill -9 of the master", b.minions), time.Since(begun).Seconds(), "s", "plain handshakes", plain, "<= 1.5")
	b.report.alone("  of that, until the master answers", up.Seconds(), "s", "")
	return nil
}
