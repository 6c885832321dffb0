package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// ErrNotRunning says that a deployment has ended, or has not begun.
var ErrNotRunning = errors.New("the deployment does not run")

// desk is where people's words reach the deployments that run. The zero value is ready.
type desk struct {
	mu   sync.Mutex
	open map[fleet.DeploymentID]*steps // guarded by mu
}

func (d *desk) seat(s *steps) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[fleet.DeploymentID]*steps{}
	}
	id := s.d.ID
	d.open[id] = s
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, id)
	}
}

func (d *desk) of(id fleet.DeploymentID) (*steps, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.open[id]
	if !ok {
		return nil, ErrNotRunning
	}
	return s, nil
}

// Stop ends a deployment before its time: nothing new is begun. It returns once that is written down.
func (r *Rollout) Stop(ctx context.Context, id fleet.DeploymentID, stop fleet.Stop) error {
	s, err := r.desk.of(id)
	if err != nil {
		return err
	}
	return s.order(ctx, stop)
}

func (s *steps) order(ctx context.Context, stop fleet.Stop) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch before := s.d.Stop; {
	case s.d.Status.Ended() || s.d.Passed:
		return ErrNotRunning
	case s.d.Status == fleet.Reverting:
		return errors.New("it is being reverted already")
	case before != nil && (before.Now || !stop.Now):
		return fmt.Errorf("it is being stopped already, by %s", before.By)
	}
	before := s.d.Stop
	s.d.Stop = &stop
	err := s.saveLocked(ctx, nil, s.record(fleet.Record{Kind: fleet.DeploymentNote, Message: because("stopped by "+stop.By, stop.Reason)}))
	if err != nil {
		s.d.Stop = before
	}
	return err
}

// Answer gives a person's word to the pause that a deployment is in, or comes to next.
func (r *Rollout) Answer(ctx context.Context, id fleet.DeploymentID, answer fleet.Answer) error {
	s, err := r.desk.of(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.d.Pauses {
		if p.Done || !p.Approve && answer.Approved {
			continue
		}
		if p.Since.IsZero() {
			return fmt.Errorf("it is not at its pause after %s yet", p.Stage)
		}
		p.Answer = &answer
		word := "approved"
		if !answer.Approved {
			word = "rejected"
		}
		err := s.saveLocked(ctx, nil, s.record(fleet.Record{Kind: fleet.DeploymentNote, Message: because(p.Stage+" "+word+" by "+answer.By, answer.Reason)}))
		if err != nil {
			p.Answer = nil
		}
		return err
	}
	return errors.New("it waits for nobody's word")
}

// stopped refuses to go on once somebody, or the time, has stopped the deployment.
func (s *steps) stopped() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := s.d.Stop
	switch {
	case stop == nil:
		return nil
	case stop.By == limitName:
		return refusal{reason: errors.New(stop.Reason), status: fleet.TimedOut}
	default:
		return refusal{reason: errors.New(because("stopped by "+stop.By, stop.Reason)), status: fleet.Stopped, stays: !stop.Revert}
	}
}

// killIfStopped ends a job that runs when the deployment is to stop at once.
func (s *steps) killIfStopped(ctx context.Context, job fleet.JobID) error {
	s.mu.Lock()
	stop := s.d.Stop
	due := stop != nil && stop.Now && s.d.Status == fleet.Running && !s.killed[job]
	s.mu.Unlock()
	if !due {
		return nil
	}
	if err := s.Fleet.Kill(ctx, job, stop.By); err != nil {
		return fmt.Errorf("kill job %s: %w", job, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killed == nil {
		s.killed = map[fleet.JobID]bool{}
	}
	s.killed[job] = true
	return nil
}

// limitName is who stops a deployment whose time is over.
const limitName = "the strategy's timeout"

// limit stops the deployment when its strategy's time is over.
func (s *steps) limit(ctx context.Context) (cancel func()) {
	timeout := time.Duration(s.d.Strategy.Timeout)
	if timeout == 0 || s.d.Status == fleet.Reverting {
		return func() {}
	}
	t := time.AfterFunc(time.Until(s.d.Created.Add(timeout)), func() {
		err := s.order(ctx, fleet.Stop{By: limitName, At: time.Now(), Reason: fmt.Sprintf("not done within %s", timeout), Now: true, Revert: true})
		if err != nil && !errors.Is(err, ErrNotRunning) {
			s.Log.Warn("time limit not kept", "deployment", s.d.ID, "error", err)
		}
	})
	return func() { t.Stop() }
}
