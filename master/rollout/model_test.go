package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// host is one minion of the model.
type host struct {
	live      fleet.Digest
	in        bool // in the pool
	zone      string
	gone      time.Duration // when it falls away, for ever; 0: it does not
	fails     map[fleet.Digest]bool
	takes     time.Duration // to install
	neverBack bool          // its return gets lost: it never comes
}

// model is a fleet, a pool, a journal and people, in the time of a synctest bubble. It notes every broken promise.
type model struct {
	mu      sync.Mutex
	began   time.Time
	hosts   map[fleet.MinionID]*host
	stored  []byte
	saves   int
	failAt  map[int]bool
	returns map[fleet.JobID][]fleet.Return
	ran     map[string]int
	target  fleet.Digest
	changed chan struct{}
	minimum int
	broken  []string // promises
}

func (m *model) blame(format string, args ...any) {
	m.broken = append(m.broken, fmt.Sprintf(format, args...))
}

func (m *model) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *model) isGone(h *host) bool { return h.gone > 0 && time.Since(m.began) >= h.gone }

func (m *model) SaveDeployment(_ context.Context, d *fleet.Deployment, _ []*fleet.MinionProgress, _ ...fleet.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.saves++; m.failAt[m.saves] {
		return errDisk
	}
	m.stored, _ = json.Marshal(d)
	m.notify()
	return nil
}

func (m *model) SetLive(_ context.Context, _ fleet.AppName, _ fleet.GroupName, _ map[fleet.MinionID]fleet.Digest) error {
	return nil // the model knows what is live
}

func (m *model) SetTarget(_ context.Context, _ fleet.AppName, _ fleet.GroupName, r fleet.Digest, _ fleet.DeploymentID) error {
	m.target = r
	return nil
}

func (m *model) Revision(_ context.Context, _ fleet.AppName, d fleet.Digest) (fleet.Revision, error) {
	return fleet.Revision{Digest: d, Origin: fleet.Origin{Ref: string(d)}}, nil
}

func (m *model) ServingSide(context.Context, fleet.AppName, fleet.GroupName) (fleet.Side, error) {
	return "", nil
}

func (m *model) ReturnsAfter(_ context.Context, job fleet.JobID, seq uint64) ([]fleet.Return, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.returns[job])
	return list[seq:], uint64(len(list)), nil
}

func (m *model) Find(_ context.Context, _ fleet.Group, id fleet.MinionID) (fleet.Minion, bool, error) {
	return fleet.Minion{ID: id}, true, nil
}

func (m *model) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *model) Candidates(context.Context, fleet.AppName, fleet.Group, fleet.GroupName) ([]Candidate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Candidate
	for _, id := range slices.Sorted(maps.Keys(m.hosts)) {
		h := m.hosts[id]
		out = append(out, Candidate{Live: h.live, Minion: fleet.Minion{ID: id, Connected: !m.isGone(h), Grains: fleet.Grains{"zone": h.zone}}})
	}
	return out, nil
}

func (m *model) Publish(_ context.Context, _ *fleet.Deployment, jobs []fleet.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range jobs {
		h := m.hosts[j.Minion]
		key := string(j.ID) + "/" + string(j.Minion)
		if m.ran[key]++; m.ran[key] > 1 || m.isGone(h) || h.neverBack {
			continue
		}
		if h.in {
			m.blame("%s got a job inside its pool", j.Minion)
		}
		var order fleet.ReleaseOrder
		if err := json.Unmarshal(j.Args, &order); err != nil {
			return err
		}
		time.AfterFunc(h.takes, func() { m.install(j, order.Revision.Digest, "") })
	}
	return nil
}

// install ends a job on its host, unless the host fell away meanwhile, or the job has ended.
func (m *model) install(j fleet.Job, revision fleet.Digest, killed string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hosts[j.Minion]
	if m.isGone(h) || slices.ContainsFunc(m.returns[j.ID], func(r fleet.Return) bool { return r.Minion == j.Minion }) {
		return
	}
	ret := fleet.Return{Job: j.ID, Minion: j.Minion, Last: true, Outcome: fleet.Succeeded}
	switch {
	case killed != "":
		ret.Outcome, ret.Reason = fleet.Killed, killed
	case h.fails[revision]:
		ret.Outcome, ret.Reason = fleet.Failed, "ValidateService failed"
	default:
		h.live = revision
	}
	ret.Value, _ = json.Marshal(fleet.ReleaseResult{Live: h.live, Serving: true})
	m.returns[j.ID] = append(m.returns[j.ID], ret)
	m.notify()
}

func (m *model) Kill(_ context.Context, job fleet.JobID, by string) error {
	m.mu.Lock()
	var d fleet.Deployment
	_ = json.Unmarshal(m.stored, &d)
	m.mu.Unlock()
	for _, p := range d.Minions {
		if p.Job == job && !m.hosts[p.Minion].neverBack {
			m.install(fleet.Job{ID: job, Minion: p.Minion}, "", "killed by "+by)
		}
	}
	return nil
}

func (m *model) GoneSince(id fleet.MinionID) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.hosts[id]; m.isGone(h) {
		return m.began.Add(h.gone)
	}
	return time.Time{}
}

func (m *model) Prepare(context.Context, fleet.Application, string, string, func(string)) (fleet.Revision, error) {
	return fleet.Revision{Digest: "v2", Origin: fleet.Origin{Ref: "v2"}}, nil
}

func (m *model) Fetch(context.Context, fleet.Revision, time.Duration) (string, string, error) {
	return "http://:1/x", "AGE-SECRET-KEY-1", nil
}

// Drain checks the promise of the minimum: what serves before and after is counted as the rollout could know it.
func (m *model) Drain(ctx context.Context, _ string, member balancer.Member) error {
	m.mu.Lock()
	h := m.hosts[fleet.MinionID(member.Name)]
	if h.in && !m.isGone(h) {
		h.in = false
		if n := m.serving(); n < m.minimum {
			m.blame("%s was drained: %d serve, minimum %d", member.Name, n, m.minimum)
		}
	}
	h.in = false
	m.mu.Unlock()
	return sleepFor(ctx, 50*time.Millisecond)
}

func (m *model) Activate(ctx context.Context, _ string, member balancer.Member) error {
	if err := sleepFor(ctx, 100*time.Millisecond); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts[fleet.MinionID(member.Name)].in = true
	return nil
}

func (m *model) Members(context.Context, string) (map[string]balancer.Status, error) { return nil, nil }

func (m *model) serving() int {
	n := 0
	for _, h := range m.hosts {
		if h.in && !m.isGone(h) {
			n++
		}
	}
	return n
}

func sleepFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// story is one run of the model, drawn before its bubble begins.
type story struct {
	hosts    map[fleet.MinionID]*host
	strategy fleet.Strategy
	failAt   map[int]bool
	stop     *fleet.Stop
	stopAt   time.Duration
	answer   *fleet.Answer
	answerAt time.Duration
	choices  map[fleet.MinionID]fleet.Choice // about those that fail
}

func drawStory(t *rapid.T) story {
	st := story{hosts: map[fleet.MinionID]*host{}, failAt: map[int]bool{}}
	oneIn := func(n int, what string) bool { return rapid.IntRange(1, n).Draw(t, what) == 1 }
	seconds := func(most int, what string) time.Duration {
		return time.Duration(rapid.IntRange(1, most).Draw(t, what)) * time.Second
	}
	n := rapid.IntRange(1, 8).Draw(t, "hosts")
	for i := range n {
		h := &host{live: "v1", in: true, zone: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone"), takes: seconds(5, "takes"), fails: map[fleet.Digest]bool{}}
		if oneIn(8, "nothing live") {
			h.live, h.in = "", false
		}
		h.fails["v2"], h.fails["v1"] = oneIn(8, "fails"), oneIn(30, "old fails")
		if oneIn(10, "goes") {
			h.gone = seconds(60, "gone")
		}
		h.neverBack = oneIn(20, "lost")
		st.hosts[fleet.MinionID(fmt.Sprintf("m%d", i))] = h
	}
	amount := func(most int, what string) fleet.Amount {
		return fleet.Amount{Value: rapid.IntRange(0, most).Draw(t, what)}
	}
	st.strategy = fleet.Strategy{
		Batch: amount(n, "batch"), Window: rapid.Bool().Draw(t, "window"), MinHealthy: amount(n-1, "minimum"),
		MaxFailures: rapid.IntRange(0, 2).Draw(t, "failures"), NoRevert: oneIn(4, "no revert"),
	}
	if oneIn(3, "canary") {
		st.strategy.Canary = &fleet.Canary{Amount: amount(2, "canaries"), Bake: fleet.Duration(seconds(30, "bake")), Approve: rapid.Bool().Draw(t, "approve")}
	}
	if oneIn(3, "zones") {
		st.strategy.Zones = &fleet.Zones{By: "zone", First: fleet.Duration(seconds(30, "first"))}
	}
	if oneIn(4, "timeout") {
		st.strategy.Timeout = fleet.Duration(seconds(120, "timeout"))
	}
	for oneIn(2, "restart") {
		st.failAt[rapid.IntRange(1, 60).Draw(t, "at save")] = true
	}
	if oneIn(4, "stop") {
		st.stop = &fleet.Stop{By: "alice", Now: rapid.Bool().Draw(t, "now"), Revert: rapid.Bool().Draw(t, "revert")}
		st.stopAt = seconds(60, "stop at")
	}
	if oneIn(3, "guided") {
		st.strategy.OnFailure, st.strategy.Within = fleet.Ask, fleet.Duration(seconds(300, "within"))
		st.choices = map[fleet.MinionID]fleet.Choice{}
		for i := range n {
			st.choices[fleet.MinionID(fmt.Sprintf("m%d", i))] = rapid.SampledFrom(fleet.Choices()).Draw(t, "choice")
		}
	}
	st.answer = &fleet.Answer{By: "bob", Approved: !oneIn(4, "rejects")}
	st.answerAt = seconds(90, "answer at")
	return st
}

// play runs a story to its end and says what went wrong in it.
func (st story) play(ctx context.Context) []string {
	m := &model{
		began: time.Now(), hosts: st.hosts, failAt: st.failAt, returns: map[fleet.JobID][]fleet.Return{}, ran: map[string]int{},
		changed: make(chan struct{}), minimum: st.strategy.MinHealthy.Of(len(st.hosts)),
	}
	group := &fleet.Group{Target: "*", Root: "/srv/shop", Strategy: st.strategy, Timeout: fleet.Duration(time.Minute), Balancer: &fleet.PoolSpec{Use: "main", Pool: "shop", Address: "{id}:80"}}
	app := fleet.Application{Name: "shop", Groups: map[fleet.GroupName]*fleet.Group{"production": group}}
	r := &Rollout{Ledger: m, Fleet: m, Revisions: m, Balancers: map[string]balancer.Balancer{"main": m}, Log: slog.New(slog.DiscardHandler)}
	d := &fleet.Deployment{ID: "d1", App: "shop", Group: "production", Kind: fleet.KindDeploy, Ref: "v2", Previous: "v1", Status: fleet.Queued, Strategy: st.strategy, Created: time.Now()}
	m.stored, _ = json.Marshal(d)
	over, people := context.WithCancel(ctx)
	defer people()
	go st.people(over, r, m)
	for {
		d = new(fleet.Deployment)
		if err := json.Unmarshal(m.stored, d); err != nil {
			return []string{err.Error()}
		}
		err := r.Run(ctx, app, d)
		if err == nil {
			break
		}
		if !errors.Is(err, errDisk) {
			return append(m.broken, err.Error())
		}
	}
	if took := time.Since(m.began); took > 6*time.Hour {
		m.blame("it took %s", took)
	}
	m.judge(d)
	return m.broken
}

// people stop and answer when their time has come, again and again while the master is down.
func (st story) people(ctx context.Context, r *Rollout, m *model) {
	stop := st.stop
	for ctx.Err() == nil {
		if stop != nil && sleepFor(ctx, st.stopAt) == nil && r.Stop(ctx, "d1", *stop) == nil {
			stop = nil
		}
		if sleepFor(ctx, st.answerAt) == nil {
			_ = r.Answer(ctx, "d1", *st.answer)
			st.decide(ctx, r, m)
		}
	}
}

// decide says what each minion that fails is to become of. One that is tried again has been mended, and is not tried twice.
func (st story) decide(ctx context.Context, r *Rollout, m *model) {
	for _, id := range slices.Sorted(maps.Keys(st.choices)) {
		choice := st.choices[id]
		if r.Decide(ctx, "d1", id, fleet.Decision{Choice: choice, By: "carol"}) != nil || choice != fleet.Retry {
			continue
		}
		st.choices[id] = fleet.Abort
		m.mu.Lock()
		m.hosts[id].fails["v2"] = false
		m.mu.Unlock()
	}
}

// judge looks for promises that the end breaks.
func (m *model) judge(d *fleet.Deployment) {
	for _, p := range d.Minions {
		h := m.hosts[p.Minion]
		switch {
		case p.Phase == fleet.MinionFailed && h.in:
			m.blame("%s failed and is in the pool", p.Minion)
		case p.Phase == fleet.Active && (h.live != "v2" || !h.in), p.Phase == fleet.MinionReverted && (h.live != "v1" || !h.in):
			m.blame("%s is said to be %s and has %q, in the pool: %v", p.Minion, p.Phase, h.live, h.in)
		case !slices.Contains([]fleet.Phase{fleet.Waiting, fleet.Skipped, fleet.Active, fleet.MinionFailed, fleet.MinionReverted}, p.Phase):
			m.blame("%s was left in phase %s", p.Minion, p.Phase)
		case p.Phase == fleet.Active && d.Status == fleet.Reverted:
			m.blame("%s keeps v2 though the deployment was reverted", p.Minion)
		case p.Phase == fleet.Waiting && slices.Contains([]fleet.DeploymentStatus{fleet.DeploySucceeded, fleet.DeployPartly, fleet.Reverted}, d.Status):
			m.blame("%s waits still in a deployment that %s", p.Minion, d.Status)
		}
	}
	if !d.Status.Ended() || d.Reason == "" {
		m.blame("ended as %s, because %q", d.Status, d.Reason)
	}
	if (m.target == "v2") != (d.Status == fleet.DeploySucceeded || d.Status == fleet.DeployPartly) {
		m.blame("target %q after %s", m.target, d.Status)
	}
}

func TestWhateverHappensARolloutKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		st := drawStory(rt)
		var broken []string
		synctest.Test(t, func(t *testing.T) { broken = st.play(t.Context()) })
		if len(broken) > 0 {
			rt.Fatalf("%q", broken)
		}
	})
}
