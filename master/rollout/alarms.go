package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// askEvery is the time between two readings of the alarms.
const askEvery = 5 * time.Second

// listen reads the alarms of the group again and again, until it is told to stop.
func (s *steps) listen(ctx context.Context) (stop func()) {
	alarms := s.alarms()
	if len(alarms) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		tick := time.NewTicker(askEvery)
		defer tick.Stop()
		for {
			for _, a := range alarms {
				s.heard(a, s.Gate.Ask(ctx, a), time.Now())
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		listening.Wait()
	}
}

func (s *steps) alarms() []fleet.Alarm {
	if s.d.Strategy.Gate == nil || s.d.Kind == fleet.KindNewcomer {
		return nil
	}
	return s.d.Strategy.Gate.Alarms
}

// heard notes a reading, and since when the alarm sounds.
func (s *steps) heard(a fleet.Alarm, r Reading, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Sounding = s.readings[a.Name].Sounding; r.State != Sounds {
		r.Sounding = time.Time{}
	} else if r.Sounding.IsZero() {
		r.Sounding = now
	}
	if s.readings == nil {
		s.readings = map[string]Reading{}
	}
	s.readings[a.Name] = r
}

func (s *steps) judgeAlarms() Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return JudgeAlarms(s.alarms(), s.readings, time.Now())
}

// quiet waits, after the last batch, for alarms that were asked since.
func (s *steps) quiet(ctx context.Context) error {
	s.mu.Lock()
	s.readings = nil
	s.mu.Unlock()
	for {
		if err := s.stopped(); err != nil {
			return err
		}
		switch v := s.judgeAlarms(); v.Decision {
		case Pass:
			return nil
		case Fail:
			return refused(errors.New(v.Reason))
		}
		if err := s.wait(ctx, nil); err != nil {
			return err
		}
	}
}

// check runs the gate's health checks on a minion that was installed and validated. What they find is its outcome.
func (s *steps) check(ctx context.Context, m *fleet.MinionProgress) error {
	gate := s.d.Strategy.Gate
	if gate == nil || len(gate.Checks) == 0 {
		return nil
	}
	minion, ok, err := s.Fleet.Find(ctx, s.group, m.Minion)
	if err != nil || !ok {
		return err
	}
	for _, check := range gate.Checks {
		err := s.Gate.Check(ctx, check, minion)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return s.set(ctx, m, fleet.MinionFailed, fmt.Sprintf("health check: %s", err))
		}
	}
	return nil
}
