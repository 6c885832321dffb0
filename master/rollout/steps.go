package rollout

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// The limits of a group that sets none.
const (
	DefaultTimeout        = 30 * time.Minute
	defaultDrainTimeout   = 30 * time.Second
	defaultHealthyTimeout = time.Minute
)

// atOnce bounds how many members of one pool are drained or activated at the same time.
const atOnce = 64

// steps is one deployment being carried out.
type steps struct {
	*Rollout
	app   fleet.Application
	group fleet.Group

	together together

	mu       sync.Mutex // guards what follows while minions are worked on side by side
	d        *fleet.Deployment
	flying   map[fleet.MinionID]bool // of the batches under way
	killed   map[fleet.JobID]bool    // by a stop
	readings map[string]Reading      // of the alarms
}

// way is a direction: which revision the minions get, and what they are when they have it.
type way struct {
	revision fleet.Revision
	job      string // tells the jobs of the two ways apart
	done     fleet.Phase
}

func forward(d *fleet.Deployment) way {
	return way{revision: *d.Revision, job: "deploy", done: fleet.Active}
}

func back(previous fleet.Revision) way {
	return way{revision: previous, job: "revert", done: fleet.MinionReverted}
}

// prepare makes sure that there is a revision, in the store too, and that the pool can be used, before anything is
// touched.
func (s *steps) prepare(ctx context.Context) error {
	if s.d.Status == fleet.Queued {
		s.d.Status = fleet.Running
		if err := s.save(ctx, nil, s.statusRecord()); err != nil {
			return err
		}
	}
	if err := s.checkPool(ctx); err != nil { // a build may take long
		return err
	}
	if s.d.Revision == nil {
		revision, err := s.Revisions.Prepare(ctx, s.app, s.d.Ref, s.d.By, func(line string) { s.note(ctx, line) })
		if err != nil {
			return refused(err)
		}
		s.d.Revision = &revision
		if err := s.save(ctx, nil, s.record(fleet.Record{Kind: fleet.DeploymentNote, Message: "revision " + revision.Digest.Short() + " is " + revision.Name()})); err != nil {
			return err
		}
	}
	if _, _, err := s.Revisions.Fetch(ctx, *s.d.Revision, s.timeout()); err != nil {
		return refused(fmt.Errorf("revision %s: %w", s.d.Revision.Digest.Short(), err))
	}
	return s.checkPool(ctx)
}

func (s *steps) checkPool(ctx context.Context) error {
	pool := s.group.Balancer
	if pool == nil {
		return nil
	}
	b, ok := s.Balancers[pool.Use]
	if !ok {
		return refused(fmt.Errorf("group %s uses balancer %q, which master.yml does not have", s.d.Group, pool.Use))
	}
	if _, err := b.Members(ctx, pool.Pool); err != nil {
		return refused(fmt.Errorf("balancer %s: %w", pool.Use, err))
	}
	return nil
}

// plan decides, once, who gets the revision; a deployment that has its plan keeps it.
func (s *steps) plan(ctx context.Context) error {
	if err := s.chooseSide(ctx); err != nil || len(s.d.Minions) > 0 {
		return err
	}
	candidates, err := s.Fleet.Candidates(ctx, s.d.App, s.group, s.d.Group)
	if err != nil {
		return err
	}
	if s.d.Kind == fleet.KindNewcomer {
		candidates = slices.DeleteFunc(candidates, func(c Candidate) bool { return string(c.Minion.ID) != s.d.Ref })
	}
	if len(candidates) == 0 {
		return refused(fmt.Errorf("target %q of group %s matches no minion", s.group.Target, s.d.Group))
	}
	planned, pauses, err := Plan(s.group, s.d, s.Sick(ctx, s.group, candidates), time.Now())
	if err != nil {
		return refused(err)
	}
	s.d.Pauses = pauses
	records := make([]fleet.Record, 0, len(planned))
	for _, p := range planned {
		m := &fleet.MinionProgress{Minion: p.Minion, Batch: p.Batch, Stage: p.Stage, Phase: fleet.Waiting, Previous: p.Current, Reason: p.Skip, Away: p.Away, Updated: time.Now()}
		if p.Skip != "" {
			m.Phase = fleet.Skipped
		}
		s.d.Minions = append(s.d.Minions, m)
		records = append(records, s.record(minionRecord(m)))
	}
	return s.save(ctx, s.d.Minions, records...)
}

// drain takes the batch out of its pool.
func (s *steps) drain(ctx context.Context, batch []*fleet.MinionProgress) error {
	var leaving []*fleet.MinionProgress
	for _, m := range batch {
		if m.Phase == fleet.Waiting || m.Phase == fleet.Draining {
			leaving = append(leaving, m)
		}
	}
	if err := s.setAll(ctx, fleet.Draining, leaving); err != nil {
		return err
	}
	return s.each(ctx, leaving, func(ctx context.Context, m *fleet.MinionProgress) error {
		return s.traffic(ctx, m, fleet.BlockTraffic)
	})
}

// publish sends the job to all minions of the batch that are out of their pool.
func (s *steps) publish(ctx context.Context, w way, batch []*fleet.MinionProgress) error {
	var ready []*fleet.MinionProgress
	for _, m := range batch {
		if m.Phase == fleet.Draining {
			ready = append(ready, m)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	jobs, err := s.jobs(ctx, w, ready)
	if err != nil {
		return err
	}
	if err := s.Fleet.Publish(ctx, s.d, jobs); err != nil {
		return fmt.Errorf("publish %s: %w", jobs[0].ID, err)
	}
	s.mu.Lock()
	for _, m := range ready {
		m.Job = jobs[0].ID
	}
	s.mu.Unlock()
	return s.setAll(ctx, fleet.Installing, ready)
}

func (s *steps) jobs(ctx context.Context, w way, minions []*fleet.MinionProgress) ([]fleet.Job, error) {
	timeout := s.timeout()
	url, identity, err := s.Revisions.Fetch(ctx, w.revision, timeout+Grace)
	if err != nil {
		return nil, refused(fmt.Errorf("revision %s: %w", w.revision.Digest.Short(), err))
	}
	order := fleet.ReleaseOrder{
		Deployment: s.d.ID, App: s.d.App, Group: s.d.Group, Revision: w.revision, URL: url, Identity: identity,
		Layout: cmp.Or(s.group.Layout, "releases"), Shared: s.group.Shared, Keep: s.group.Keep, Hooks: s.group.Hooks,
		Copy: s.group.Copy, Exists: s.group.Exists, RunAs: s.group.RunAs, Env: s.group.Env, Secrets: s.group.Secrets, Timeout: fleet.Duration(timeout),
		Force: s.d.Force && s.d.Kind != fleet.KindNewcomer && w.done == fleet.Active,
	}
	now := time.Now()
	jobs := make([]fleet.Job, 0, len(minions))
	var args json.RawMessage // of the minion before: mostly they are the same for all
	for _, m := range minions {
		root, err := Expand(s.group.Root, fleet.Minion{ID: m.Minion})
		if err != nil {
			return nil, refused(fmt.Errorf("root: %w", err))
		}
		if args == nil || root != order.Root {
			order.Root = root
			if args, err = json.Marshal(order); err != nil {
				return nil, fmt.Errorf("encode order for %s: %w", m.Minion, err)
			}
		}
		jobs = append(jobs, fleet.Job{
			ID: s.job(w, m), Minion: m.Minion, Function: "deploy.release", Args: args, By: s.d.By,
			Issued: now, Deadline: now.Add(timeout),
		})
	}
	return jobs, nil
}

func (s *steps) job(w way, m *fleet.MinionProgress) fleet.JobID {
	id := fmt.Sprintf("%s-%s-%d", s.d.ID, w.job, m.Batch+1)
	if m.Attempt > 0 {
		id += fmt.Sprintf("-again%d-%s", m.Attempt, m.Minion)
	}
	return fleet.JobID(id)
}

func (s *steps) timeout() time.Duration { return s.group.Timeout.Or(DefaultTimeout) }

// collect waits for the batch's returns, and lets each minion into its pool as soon as it passed.
func (s *steps) collect(ctx context.Context, w way, batch []*fleet.MinionProgress) error {
	admitted, actx := errgroup.WithContext(ctx)
	admitted.SetLimit(atOnce)
	admit := func(list []*fleet.MinionProgress) {
		for _, m := range list {
			admitted.Go(func() error { return s.admit(actx, w, m) })
		}
	}
	var installing, passed []*fleet.MinionProgress
	for _, m := range batch {
		switch m.Phase {
		case fleet.Installing:
			installing = append(installing, m)
		case fleet.Activating: // it passed before the master was restarted
			passed = append(passed, m)
		}
	}
	admit(passed)
	err := s.judge(ctx, w, installing, admit)
	return errors.Join(err, admitted.Wait())
}

// judge waits until every minion has passed or failed, and hands over those that passed.
func (s *steps) judge(ctx context.Context, w way, waiting []*fleet.MinionProgress, passed func([]*fleet.MinionProgress)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	news := returned{last: map[fleet.MinionID]*fleet.Return{}}
	for len(waiting) > 0 {
		changed := s.Ledger.Changed()
		err := news.read(ctx, s.Ledger, waiting[0].Job)
		if err == nil {
			err = s.killIfStopped(ctx, waiting[0].Job)
		}
		if err != nil {
			return err
		}
		var still, good, bad []*fleet.MinionProgress
		live := map[fleet.MinionID]fleet.Digest{}
		for _, m := range waiting {
			e := Expected{Minion: m.Minion, Published: m.Updated, Timeout: s.timeout()}
			g := Got{Return: news.last[m.Minion], GoneSince: s.Fleet.GoneSince(m.Minion)}
			v := JudgeMinion(s.d.Strategy, e, g, time.Now())
			if v.Decision == Wait {
				still = append(still, m)
				continue
			}
			s.learn(m, g.Return, live)
			if v.Decision == Pass {
				good = append(good, m)
			} else {
				s.mu.Lock()
				m.Reason = v.Reason
				s.mu.Unlock()
				bad = append(bad, m)
			}
		}
		if err := s.setLive(ctx, live); err != nil {
			return err
		}
		if err := s.setAll(ctx, fleet.MinionFailed, bad); err != nil {
			return err
		}
		if err := s.welcome(ctx, w, good, passed); err != nil {
			return err
		}
		if waiting = still; len(waiting) == 0 {
			break
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// welcome hands over minions that passed; where nothing lies between that and serving, they are done.
func (s *steps) welcome(ctx context.Context, w way, good []*fleet.MinionProgress, passed func([]*fleet.MinionProgress)) error {
	if s.group.Balancer == nil && s.d.Strategy.BlueGreen == nil && s.group.Strategy.BlueGreen == nil && s.d.Strategy.Gate == nil {
		return s.setAll(ctx, w.done, good)
	}
	if err := s.setAll(ctx, fleet.Activating, good); err != nil {
		return err
	}
	passed(good)
	return nil
}

// returned is what has come of a job by now.
type returned struct {
	last map[fleet.MinionID]*fleet.Return // the last part of each minion's
	seq  uint64
}

// read adds what is new since it was read last.
func (r *returned) read(ctx context.Context, ledger Ledger, job fleet.JobID) error {
	list, next, err := ledger.ReturnsAfter(ctx, job, r.seq)
	if err != nil {
		return fmt.Errorf("returns of %s: %w", job, err)
	}
	r.seq = next
	for i := range list {
		if list[i].Last {
			r.last[list[i].Minion] = &list[i]
		}
	}
	return nil
}

// learn keeps what a minion's return tells of it, and notes what is live there.
func (s *steps) learn(m *fleet.MinionProgress, ret *fleet.Return, live map[fleet.MinionID]fleet.Digest) {
	var result fleet.ReleaseResult
	if ret == nil || ret.Outcome == fleet.Refused || json.Unmarshal(ret.Value, &result) != nil {
		return // a minion that died inside the job tells nothing of it
	}
	live[m.Minion] = result.Live
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Events = append(m.Events, result.Events...)
}

func (s *steps) setLive(ctx context.Context, live map[fleet.MinionID]fleet.Digest) error {
	if len(live) == 0 {
		return nil
	}
	if err := s.Ledger.SetLive(ctx, s.d.App, s.d.Group, live); err != nil {
		return fmt.Errorf("set what is live: %w", err)
	}
	return nil
}

// admit lets one minion that passed into its pool.
func (s *steps) admit(ctx context.Context, w way, m *fleet.MinionProgress) error {
	if err := s.check(ctx, m); err != nil || m.Phase == fleet.MinionFailed {
		return err
	}
	if s.d.Strategy.BlueGreen != nil {
		return s.set(ctx, m, fleet.Passed, m.Reason)
	}
	serves, err := s.onServingSide(ctx, m.Minion)
	if err == nil && serves {
		err = s.traffic(ctx, m, fleet.AllowTraffic)
	}
	if err != nil || m.Phase == fleet.MinionFailed {
		return err
	}
	return s.set(ctx, m, w.done, m.Reason)
}

// traffic drains a minion or lets it in. What the balancer answers is the minion's outcome; the error is ctx's or the
// journal's.
func (s *steps) traffic(ctx context.Context, m *fleet.MinionProgress, event fleet.LifecycleEvent) error {
	pool := s.group.Balancer
	if pool == nil {
		return nil
	}
	result := fleet.EventResult{Event: event, Outcome: fleet.EventSucceeded, Started: time.Now(), Revert: s.d.Status == fleet.Reverting}
	err := s.move(ctx, *pool, m.Minion, event)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	result.Ended = time.Now()
	if err != nil {
		result.Outcome, result.Reason = fleet.EventFailed, err.Error()
	}
	if serr := s.change(ctx, m, func() fleet.Record {
		m.Events = append(m.Events, result)
		return fleet.Record{Kind: fleet.MinionEvent, Minion: m.Minion, Event: &result}
	}); serr != nil {
		return serr
	}
	if err != nil {
		return s.set(ctx, m, fleet.MinionFailed, fmt.Sprintf("%s: %s", event, err))
	}
	return nil
}

func (s *steps) move(ctx context.Context, pool fleet.PoolSpec, id fleet.MinionID, event fleet.LifecycleEvent) error {
	minion, ok, err := s.Fleet.Find(ctx, s.group, id)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("minion %s is no longer in group %s", id, s.d.Group)
	}
	member, err := MemberOf(pool, minion)
	if err != nil {
		return err
	}
	if event == fleet.AllowTraffic && (minion.Drained || minion.Warm) {
		return nil // an operator took it out meanwhile, or it waits in a warm pool: it stays out
	}
	if event == fleet.BlockTraffic {
		return Drain(ctx, s.Balancers[pool.Use], pool, member)
	}
	ctx, cancel := context.WithTimeout(ctx, pool.HealthyTimeout.Or(defaultHealthyTimeout))
	defer cancel()
	return s.Balancers[pool.Use].Activate(ctx, pool.Pool, member)
}

// Drain takes a member out of its pool within the pool's own limit.
func Drain(ctx context.Context, b balancer.Balancer, pool fleet.PoolSpec, member balancer.Member) error {
	ctx, cancel := context.WithTimeout(ctx, pool.DrainTimeout.Or(defaultDrainTimeout))
	defer cancel()
	return b.Drain(ctx, pool.Pool, member)
}
