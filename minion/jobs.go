package minion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/minion/runner"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/stateoutput"
)

// queueLength bounds the jobs of one queue that wait in memory. A full queue holds the bus up, not the host.
const queueLength = 256

// enqueue lets a job run after the earlier ones of its queue. It waits while the queue is full.
func (m *Minion) enqueue(ctx context.Context, g *errgroup.Group, job fleet.Job) {
	key := queueOf(job)
	m.mu.Lock()
	m.tasks[job.ID] = &task{}
	queue, ok := m.queues[key]
	if !ok {
		queue = make(chan fleet.Job, queueLength)
		m.queues[key] = queue
		g.Go(func() error { return m.work(ctx, queue) })
	}
	m.mu.Unlock()
	select {
	case queue <- job:
	case <-ctx.Done():
	}
}

// queueOf names the queue of a job: releases of one group are made live in the order of their jobs; everything else has
// one queue of its own, so that a ping is answered during a deployment.
func queueOf(job fleet.Job) string {
	if job.Function != releaseFunction {
		return job.Function
	}
	var order struct {
		App   fleet.AppName   `json:"app"`
		Group fleet.GroupName `json:"group"`
	}
	_ = json.Unmarshal(job.Args, &order) // a bad order is refused when it is run
	return fmt.Sprintf("%s/%s/%s", job.Function, order.App, order.Group)
}

func (m *Minion) work(ctx context.Context, queue <-chan fleet.Job) error {
	for {
		select {
		case job := <-queue:
			if stopped(ctx) {
				continue // the next run of the daemon begins with it
			}
			if err := m.run(ctx, job); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func stopped(ctx context.Context) bool { return ctx.Err() != nil }

// run runs one job and spools its return. The error is one of the minion's own disk.
func (m *Minion) run(ctx context.Context, job fleet.Job) error {
	defer m.forget(job.ID)
	r := &reporter{Minion: m, job: job}
	if m.left[job.ID] {
		return m.goOn(ctx, job)
	}
	if why := m.refusal(job, time.Now()); why != "" {
		m.log.Error("job refused", "job", job.ID, "function", job.Function, "reason", why)
		return m.finish(job.ID, r.last(fleet.Refused, why, nil))
	}
	ctx, cancel, err := m.begin(ctx, job.ID)
	if err != nil {
		return m.finish(job.ID, r.last(fleet.Killed, err.Error()+" before it ran", nil))
	}
	defer cancel(nil)
	if err := m.inbox.Start(job.ID); err != nil {
		return fmt.Errorf("mark %s started: %w", job.ID, err)
	}
	level := slog.LevelInfo
	if m.own(job) {
		level = slog.LevelDebug // nobody waits for it; its end is told
	}
	m.log.Log(ctx, level, "job starts", "job", job.ID, "function", job.Function, "by", job.By)
	value, err := m.functions[job.Function](ctx, job, r.event)
	if job.Function == releaseFunction && errors.Is(err, runner.ErrLeft) {
		return nil // the next run of the daemon goes on with it
	}
	outcome, reason := judge(ctx, err)
	m.log.Info("job ended", append([]any{"job", job.ID, "function", job.Function, "outcome", outcome, "reason", reason}, counts(value)...)...)
	if err := m.finish(job.ID, r.last(outcome, reason, value)); err != nil {
		return err
	}
	m.applied(ctx, job, outcome)
	if _, ok := value.(*stateoutput.Report); ok {
		debug.FreeOSMemory() // the host's memory is not the minion's: states take much, and then nothing for long
	}
	return nil
}

// goOn ends a release that an earlier run of the daemon began.
func (m *Minion) goOn(ctx context.Context, job fleet.Job) error {
	running, cancel, err := m.begin(ctx, job.ID)
	if err != nil { // killed: the runner sees that at once
		running, cancel = context.WithCancelCause(ctx)
		cancel(err)
	}
	ctx = running
	defer cancel(nil)
	r := &reporter{Minion: m, job: job, part: partAfter(job, time.Now())}
	got, err := m.runner.Resume(ctx, job.ID, r.event)
	if err != nil {
		return nil //nolint:nilerr // left once more
	}
	outcome, reason := got.Outcome, got.Reason
	if killed, ok := errors.AsType[killedError](context.Cause(ctx)); ok && outcome != fleet.Succeeded {
		outcome, reason = fleet.Killed, killed.Error()+": "+reason
	}
	m.log.Info("job ended", "job", job.ID, "function", job.Function, "outcome", outcome, "reason", reason)
	r.part = finalPart
	return m.finish(job.ID, r.last(outcome, reason, got.Result))
}

// partAfter numbers the parts of a job that goes on above those that were told of before.
func partAfter(job fleet.Job, now time.Time) int {
	return 1<<20 + int(max(0, now.Sub(job.Issued)).Milliseconds())%(1<<30)
}

// judge says how a job ended whose function gave err. One that came to its end is not killed, whoever wanted that.
func judge(ctx context.Context, err error) (fleet.Outcome, string) {
	var killed killedError
	switch {
	case err == nil:
		return fleet.Succeeded, ""
	case errors.As(context.Cause(ctx), &killed):
		reason := err.Error()
		if !strings.Contains(reason, killed.Error()) {
			reason = killed.Error() + ": " + reason
		}
		return fleet.Killed, reason
	case ctx.Err() != nil:
		return fleet.Interrupted, "the minion was stopped inside the job: " + err.Error()
	default:
		return fleet.Failed, err.Error()
	}
}

// refusal says why a job must not run; empty when it may.
func (m *Minion) refusal(job fleet.Job, now time.Time) string {
	switch _, known := m.functions[job.Function]; {
	case job.Minion != fleet.MinionID(m.cfg.ID):
		return fmt.Sprintf("it is for minion %s", job.Minion)
	case now.After(job.Deadline):
		return "it came after its deadline, " + job.Deadline.Format(time.RFC3339)
	case !known:
		return fmt.Sprintf("unknown function %q; known: %s", job.Function, m.known())
	default:
		return ""
	}
}

// reporter makes the parts of one job's return.
type reporter struct {
	*Minion
	job  fleet.Job
	part int
}

// event reports progress. Losing it is no harm: the last part has all.
func (r *reporter) event(e fleet.EventResult) {
	ret := fleet.Return{Job: r.job.ID, Minion: r.job.Minion, Part: r.part, Time: time.Now(), Event: &e}
	r.part++
	if _, err := r.spool.Add(ret); err != nil {
		r.log.Warn("progress not spooled", "job", r.job.ID, "error", err)
	}
}

func (r *reporter) last(outcome fleet.Outcome, reason string, value any) fleet.Return {
	ret := fleet.Return{Job: r.job.ID, Minion: r.job.Minion, Part: r.part, Last: true, Time: time.Now(), Outcome: outcome, Reason: reason}
	if value != nil {
		text, err := json.Marshal(value)
		if err != nil {
			ret.Outcome, ret.Reason = fleet.Failed, "its value cannot be encoded: "+err.Error()
		}
		if ret.Value = text; len(text) > maxValue {
			return withoutValue(ret, fmt.Sprintf("a return may have %d", maxValue))
		}
	}
	return ret
}
