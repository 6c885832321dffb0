package master

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

const (
	liveQueue  = 4096            // lines that wait for one watcher; what is more is dropped
	liveRecent = 200             // lines of a job that one who comes later gets
	liveRenew  = 5 * time.Second // within wire.LogLease
	liveAfter  = time.Second     // for the last lines, once a deployment has ended
)

// live hands what scripts say on to whoever watches, and loses what they do not take in time. The zero value is ready.
type live struct {
	mu   sync.Mutex
	jobs map[fleet.JobID]*watchedJob // guarded by mu; those that somebody watches
}

// watchedJob is one job's watchers, and the lines that one who comes later gets first.
type watchedJob struct {
	watchers map[*watcher]bool
	recent   []fleet.LogLine
}

// watcher is somebody who watches jobs.
type watcher struct{ lines chan fleet.LogLine }

func newWatcher() *watcher { return &watcher{make(chan fleet.LogLine, liveQueue)} }

func (w *watcher) take(lines []fleet.LogLine) {
	for _, line := range lines {
		select {
		case w.lines <- line:
		default: // it does not keep up
		}
	}
}

// watch gives a job's lines to w, until it leaves.
func (l *live) watch(w *watcher, job fleet.JobID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.jobs[job]
	if j == nil {
		j = &watchedJob{watchers: map[*watcher]bool{}}
		if l.jobs == nil {
			l.jobs = map[fleet.JobID]*watchedJob{}
		}
		l.jobs[job] = j
	}
	if !j.watchers[w] {
		j.watchers[w] = true
		w.take(j.recent)
	}
}

func (l *live) leave(w *watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, j := range l.jobs {
		if delete(j.watchers, w); len(j.watchers) == 0 {
			delete(l.jobs, id)
		}
	}
}

// take gives a minion's lines to those who watch the job.
func (l *live) take(minion fleet.MinionID, m wire.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.jobs[m.Job]
	if j == nil {
		return nil
	}
	var lines []fleet.LogLine
	if err := json.Unmarshal(m.Lines, &lines); err != nil {
		return fmt.Errorf("lines of job %s: %w", m.Job, err)
	}
	for i := range lines {
		lines[i].Minion, lines[i].Job = minion, m.Job // the connection's word
	}
	for w := range j.watchers {
		w.take(lines)
	}
	j.recent = append(j.recent, lines...)
	if over := len(j.recent) - liveRecent; over > 0 {
		j.recent = slices.Delete(j.recent, 0, over)
	}
	return nil
}

// streamLog serves what the scripts of a deployment say, from the minions that are at it, until it has ended.
func (m *Master) streamLog(w http.ResponseWriter, r *http.Request) {
	watcher := newWatcher()
	defer m.dispatcher.live.leave(watcher)
	asked := map[fleet.MinionID]time.Time{}
	var over time.Time
	stream(w, r, m.journal.Changed, func(ctx context.Context) ([]fleet.LogLine, bool, error) {
		d, err := m.deployment(ctx, r)
		if err != nil {
			return nil, false, err
		}
		if err := m.dispatcher.askForLines(d, watcher, asked, time.Now()); err != nil {
			return nil, false, err
		}
		if d.Status.Ended() && over.IsZero() {
			over = time.Now().Add(liveAfter)
		}
		lines := watcher.collect(ctx, 200*time.Millisecond)
		return lines, !over.IsZero() && time.Now().After(over), nil
	})
}

// askForLines tells the minions of a deployment that somebody watches: those that are at it again and again, the others once.
func (d *dispatcher) askForLines(of *fleet.Deployment, w *watcher, asked map[fleet.MinionID]time.Time, now time.Time) error {
	for _, p := range of.Minions {
		last, before := asked[p.Minion]
		if p.Job == "" || before && (p.Phase != fleet.Installing || now.Sub(last) < liveRenew) {
			continue
		}
		asked[p.Minion] = now
		d.live.watch(w, p.Job)
		if err := d.send(string(p.Minion), wire.Ctl{Verb: wire.CtlLog, Job: p.Job}); err != nil {
			return err
		}
	}
	return nil
}

// collect waits a moment for lines.
func (w *watcher) collect(ctx context.Context, limit time.Duration) (lines []fleet.LogLine) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for len(lines) < liveQueue {
		select {
		case line := <-w.lines:
			lines = append(lines, line)
		case <-timer.C:
			return lines
		case <-ctx.Done():
			return lines
		}
	}
	return lines
}
