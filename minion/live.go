package minion

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// The limits of what a minion tells live: so often, so many bytes of each script at a time. What is more is left out.
const (
	liveEvery = 200 * time.Millisecond
	liveBytes = 64 << 10
	liveJobs  = 16
)

// live knows whose output somebody watches. The zero value is ready.
type live struct {
	mu   sync.Mutex
	jobs map[fleet.JobID]*watched // guarded by mu
}

// watched is one job: until when, and how far each of its logs has been told.
type watched struct {
	until time.Time
	at    map[string]int64 // of the one loop that sends
}

// want asks for a job's output for some time.
func (l *live) want(job fleet.JobID, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.jobs[job]; w != nil {
		w.until = until
		return
	}
	if l.jobs == nil {
		l.jobs = map[fleet.JobID]*watched{}
	}
	if len(l.jobs) < liveJobs {
		l.jobs[job] = &watched{until: until, at: map[string]int64{}}
	}
}

// wanted gives the jobs that are watched, and forgets the others.
func (l *live) wanted(now time.Time) map[fleet.JobID]*watched {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[fleet.JobID]*watched{}
	for job, w := range l.jobs {
		if now.After(w.until) {
			delete(l.jobs, job)
			continue
		}
		out[job] = w
	}
	return out
}

// sendLines tells what scripts say, as long as somebody watches. It reads their logs: it holds up neither them nor returns.
func (s *session) sendLines(ctx context.Context) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		for job, w := range s.live.wanted(time.Now()) {
			lines := s.runner.Lines(job, w.at, liveBytes)
			if len(lines) == 0 {
				continue
			}
			text, err := json.Marshal(lines)
			if err != nil {
				return fmt.Errorf("encode lines of %s: %w", job, err)
			}
			if err := s.send(ctx, wire.Log{Job: job, Lines: text}); err != nil {
				return err
			}
		}
	}
}
