package minion

import (
	"context"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// task is a job that waits in its queue or runs.
type task struct {
	killer string                  // who wants it stopped; empty: nobody
	stop   context.CancelCauseFunc // set while it runs
}

// killedError is why a job's context ends when a person stops the job.
type killedError struct{ by string }

func (e killedError) Error() string { return "killed by " + e.by }

// kill stops a job: one that runs by its context, one that waits before it starts. Of one that was never taken, which the
// master will not send any more, it says so; one that has ended has its return on the way.
func (m *Minion) kill(id fleet.JobID, by string) error {
	m.mu.Lock()
	t := m.tasks[id]
	if t != nil {
		t.killer = by
		if t.stop != nil {
			t.stop(killedError{by})
		}
	}
	m.mu.Unlock()
	m.log.Info("job is to be killed", "job", id, "by", by, "here", t != nil)
	if t != nil || m.inbox.Known(id) {
		return nil
	}
	_, err := m.spool.Add(fleet.Return{
		Job: id, Minion: fleet.MinionID(m.cfg.ID), Part: finalPart, Last: true, Time: time.Now(), Outcome: fleet.Killed,
		Reason: killedError{by}.Error() + " before it ran",
	})
	return err
}

// begin gives a job that starts the context that kill ends; the error says that it is killed already.
func (m *Minion) begin(ctx context.Context, id fleet.JobID) (context.Context, context.CancelCauseFunc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tasks[id]
	if t.killer != "" {
		return nil, nil, killedError{t.killer}
	}
	ctx, t.stop = context.WithCancelCause(ctx)
	return ctx, t.stop, nil
}

func (m *Minion) forget(id fleet.JobID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tasks, id)
}
