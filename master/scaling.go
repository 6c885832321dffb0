package master

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/cloud"
	"github.com/brine-deploy/brine/master/gate"
	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	newsQueue    = 256
	prolongEvery = 20 * time.Second // between two heartbeats of one lifecycle action
	newcomersOf  = 50               // deployments of a group among which a newcomer's own is looked for
)

// scaling keeps the fleet and its clouds of one mind. A cloud that watches is asked again and again where its instances
// stand, so that nothing is lost when the master was away; the others are told once, when something happened.
type scaling struct {
	clouds      map[string]cloud.Cloud
	deployments *deployments
	roster      *roster
	leave       func(ctx context.Context, id fleet.MinionID, by string) error
	patience    time.Duration // how long a minion may be away; zero: for ever
	log         *slog.Logger

	nudge chan struct{} // something happened that a watching cloud may wait for
	news  chan news     // for the others

	mu        sync.Mutex
	leaving   map[fleet.MinionID]bool      // guarded by mu; under way
	prolonged map[fleet.MinionID]time.Time // guarded by mu; when the lifecycle action was prolonged last
	running   sync.WaitGroup
}

type news struct {
	minion fleet.Minion
	what   cloud.News
	reason string
}

// wireClouds makes the configured clouds. Alarms of CloudWatch need none: without one, the environment says where they are.
func (m *Master) wireClouds() error {
	clouds := map[string]cloud.Cloud{}
	alarms, err := cloud.New(cloud.Config{}, m.log)
	if err != nil {
		return err
	}
	for name, section := range m.cfg.Clouds {
		c, err := cloud.List().New(section.Type, section, m.log.With("cloud", name))
		if err != nil {
			return fmt.Errorf("cloud %s: %w", name, err)
		}
		if i, ok := c.(cloud.Identifier); ok && i.Identifies() {
			m.dispatcher.identify = i.Identify
		}
		if a, ok := c.(*cloud.AWS); ok {
			alarms = a
		}
		clouds[name] = c
	}
	if g, ok := m.rollout.Gate.(*gate.Gate); ok {
		g.CloudWatch = alarms.Alarm
	}
	m.scaling = newScaling(clouds, m.deployments, m.roster, m.log)
	m.scaling.leave, m.deployments.scaling, m.scaling.patience = m.leave, m.scaling, m.cfg.Patience()
	return nil
}

func newScaling(clouds map[string]cloud.Cloud, d *deployments, r *roster, log *slog.Logger) *scaling {
	return &scaling{
		clouds: clouds, deployments: d, roster: r, log: log, nudge: make(chan struct{}, 1), news: make(chan news, newsQueue),
		leaving: map[fleet.MinionID]bool{}, prolonged: map[fleet.MinionID]time.Time{},
	}
}

// run keeps watch until ctx is done.
func (s *scaling) run(ctx context.Context) {
	for name, c := range s.clouds {
		if w, ok := c.(cloud.Watcher); ok {
			s.running.Go(func() { s.watch(ctx, name, c, w) })
		}
	}
	if s.patience > 0 {
		s.running.Go(func() { s.forgetLost(ctx) })
	}
	for {
		select {
		case n := <-s.news:
			s.running.Go(func() { s.deliver(ctx, n) })
		case <-ctx.Done():
			s.running.Wait()
			return
		}
	}
}

// forgetLost takes minions for leavers that are away for too long. The time that the master was away does not count.
func (s *scaling) forgetLost(ctx context.Context) {
	for sleep(ctx, min(s.patience/4, time.Minute)); ctx.Err() == nil; sleep(ctx, min(s.patience/4, time.Minute)) {
		for _, m := range s.roster.all() {
			since := s.roster.presence.goneSince(m.ID)
			if m.LastSeen.IsZero() || since.IsZero() || time.Since(since) < s.patience {
				continue
			}
			if err := s.leave(ctx, m.ID, "master: away since "+since.UTC().Format(time.RFC3339)); err != nil && ctx.Err() == nil {
				s.log.Error("lost minion not forgotten", "minion", m.ID, "error", err)
			}
		}
	}
}

func (s *scaling) deliver(ctx context.Context, n news) {
	for name, c := range s.clouds {
		if _, watches := c.(cloud.Watcher); watches {
			continue
		}
		if err := c.Tell(ctx, n.minion, n.what, n.reason); err != nil && ctx.Err() == nil {
			s.log.Error("cloud not told", "cloud", name, "minion", n.minion.ID, "news", n.what, "error", err)
		}
	}
}

// tell is called when something became of a minion. It never waits.
func (s *scaling) tell(m fleet.Minion, what cloud.News, reason string) {
	if s == nil || len(s.clouds) == 0 {
		return
	}
	select {
	case s.nudge <- struct{}{}:
	default:
	}
	select {
	case s.news <- news{m, what, reason}:
	default:
		s.log.Error("clouds not told, too much is waiting", "minion", m.ID, "news", what)
	}
}

// ended tells of a newcomer's deployment that has ended.
func (s *scaling) ended(dep *fleet.Deployment) {
	if s == nil || dep.Kind != fleet.KindNewcomer {
		return
	}
	m, ok := s.roster.get(fleet.MinionID(dep.Ref))
	if !ok {
		return
	}
	if dep.Status.ExitCode() != fleet.ExitDone {
		s.tell(m, cloud.Failed, dep.Reason)
	} else {
		s.tell(m, cloud.In, "")
	}
}

func (s *scaling) watch(ctx context.Context, name string, c cloud.Cloud, w cloud.Watcher) {
	tick := time.NewTicker(w.Every())
	defer tick.Stop()
	for {
		if err := s.look(ctx, c, w, s.roster.all()); err != nil && ctx.Err() == nil {
			s.log.Error("cloud not asked", "cloud", name, "error", err)
		}
		select {
		case <-tick.C:
		case <-s.nudge:
		case <-ctx.Done():
			return
		}
	}
}

// look asks where minions stand and does what that calls for.
func (s *scaling) look(ctx context.Context, c cloud.Cloud, w cloud.Watcher, minions []fleet.Minion) error {
	standings, err := w.Watch(ctx, minions)
	if err != nil {
		return err
	}
	for _, m := range minions {
		standing, known := standings[m.ID]
		if !known {
			continue
		}
		warm := standing == cloud.Warm || standing == cloud.Warming
		if woke := s.roster.setWarm(m.ID, warm); woke && standing != cloud.Leaving {
			if _, err := s.deployments.eachGroup(ctx, m.ID, func(fleet.Application, fleet.GroupName) bool { return true }); err != nil {
				s.log.Error("instance of the warm pool not brought up", "minion", m.ID, "error", err)
			}
		}
		m.Warm = warm
		switch standing {
		case cloud.Coming, cloud.Warming:
			s.answer(ctx, c, m)
		case cloud.Leaving:
			s.letGo(ctx, c, m)
		}
	}
	return nil
}

// asked looks for one minion before it is brought up: one of a warm pool must not enter the balancer.
func (s *scaling) asked(ctx context.Context, id fleet.MinionID) {
	if s == nil {
		return
	}
	m, ok := s.roster.get(id)
	if !ok {
		return
	}
	for name, c := range s.clouds {
		w, watches := c.(cloud.Watcher)
		if !watches {
			continue
		}
		standings, err := w.Watch(ctx, []fleet.Minion{m})
		if err != nil {
			s.log.Error("cloud not asked", "cloud", name, "minion", id, "error", err)
			continue
		}
		if standing, known := standings[id]; known {
			s.roster.setWarm(id, standing == cloud.Warm || standing == cloud.Warming)
		}
	}
}

// answer tells the cloud of an instance that waits, when there is something to tell.
func (s *scaling) answer(ctx context.Context, c cloud.Cloud, m fleet.Minion) {
	what, reason, err := s.deployments.becameOf(ctx, m)
	quiet := what == "" || what == cloud.Installing && !s.prolong(m.ID, time.Now())
	if err == nil && !quiet {
		err = c.Tell(ctx, m, what, reason)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("cloud not told", "minion", m.ID, "news", what, "error", err)
	}
}

// prolong reports whether a lifecycle action is due to be prolonged.
func (s *scaling) prolong(id fleet.MinionID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.prolonged[id]) < prolongEvery {
		return false
	}
	s.prolonged[id] = now
	return true
}

// letGo takes a leaver out of everything, in the background, and then tells the cloud that it may go.
func (s *scaling) letGo(ctx context.Context, c cloud.Cloud, m fleet.Minion) {
	s.mu.Lock()
	busy := s.leaving[m.ID]
	s.leaving[m.ID] = true
	s.mu.Unlock()
	if busy {
		if s.prolong(m.ID, time.Now()) {
			if err := c.Tell(ctx, m, cloud.Installing, "draining"); err != nil && ctx.Err() == nil {
				s.log.Warn("lifecycle action not prolonged", "minion", m.ID, "error", err)
			}
		}
		return
	}
	s.running.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.leaving, m.ID)
			delete(s.prolonged, m.ID)
		}()
		err := s.leave(ctx, m.ID, "cloud")
		for tries := 1; err == nil; tries++ { // it is not in the roster any more: nobody else will tell
			if err = c.Tell(ctx, m, cloud.Left, ""); err == nil || ctx.Err() != nil || tries == 10 {
				break
			}
			s.log.Warn("cloud not told yet", "minion", m.ID, "news", cloud.Left, "error", err)
			sleep(ctx, retryAfter)
			err = nil
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("leaver not let go", "minion", m.ID, "error", err)
		}
	})
}

// becameOf says what a cloud is to be told of a minion: nothing, as long as nothing was begun.
func (d *deployments) becameOf(ctx context.Context, m fleet.Minion) (what cloud.News, reason string, err error) {
	apps, err := d.apps.list()
	if err != nil || d.isHeld(m.ID) {
		return "", "", err
	}
	what = cloud.In
	for _, app := range apps {
		for name, group := range app.Groups {
			minions, err := d.roster.match(group.Target)
			if err != nil {
				return "", "", fmt.Errorf("target of %s %s: %w", app.Name, name, err)
			}
			if !slices.ContainsFunc(minions, func(other fleet.Minion) bool { return other.ID == m.ID }) {
				continue
			}
			switch one, reason, err := d.becameIn(ctx, app, name, m); {
			case err != nil, one == cloud.Failed:
				return one, reason, err
			case one == cloud.Installing, one == "" && what == cloud.In:
				what = one
			}
		}
	}
	return what, "", nil
}

// becameIn is becameOf for one group.
func (d *deployments) becameIn(ctx context.Context, app fleet.Application, name fleet.GroupName, m fleet.Minion) (cloud.News, string, error) {
	due, err := d.due(app.Name, name, m.ID)
	if err != nil || due == "" {
		return cloud.In, "", err
	}
	d.mu.Lock()
	_, busy := d.bringing[strings.Join([]string{string(app.Name), string(name), string(m.ID)}, "/")]
	d.mu.Unlock()
	if busy {
		return cloud.Installing, "", nil
	}
	live, err := d.journal.Live(ctx, app.Name, name)
	if err != nil {
		return "", "", fmt.Errorf("live revisions of %s %s: %w", app.Name, name, err)
	}
	if live[m.ID] == due && (m.Warm || app.Groups[name].Balancer == nil || d.serves(app, name, m.ID, due)) {
		return cloud.In, "", nil
	}
	list, err := d.journal.Deployments(ctx, journal.Filter{App: app.Name, Group: name, Limit: newcomersOf})
	if err != nil {
		return "", "", fmt.Errorf("deployments of %s %s: %w", app.Name, name, err)
	}
	i := slices.IndexFunc(list, func(dep *fleet.Deployment) bool { return dep.Kind == fleet.KindNewcomer && dep.Ref == string(m.ID) })
	switch {
	case i < 0:
		return "", "", nil
	case !list[i].Status.Ended():
		return cloud.Installing, "", nil
	case list[i].Status.ExitCode() != fleet.ExitDone:
		return cloud.Failed, fmt.Sprintf("%s %s: %s", app.Name, name, list[i].Reason), nil
	}
	return "", "", nil
}
