package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// world is a fleet in memory: minions that install at once, a journal that can fail at a given write, a pool.
type world struct {
	mu       sync.Mutex
	stored   []byte // the deployment as it was last saved
	failAt   int    // the number of the save that fails; 0: none
	saves    int
	live     map[fleet.MinionID]fleet.Digest
	target   fleet.Digest
	jobs     map[string]fleet.Return
	broken   map[string]bool // "minion@revision" that fails to install
	ran      map[string]int  // "minion@revision" -> times
	pool     map[string]bool
	poolLow  int // the fewest members that the pool ever had
	poolDead error
	away     map[fleet.MinionID]bool
	drained  map[fleet.MinionID]bool
	drainB   bool // an operator drains b while it installs
	changed  chan struct{}
}

var errDisk = errors.New("disk full")

func newWorld(live string, ids ...fleet.MinionID) *world {
	w := &world{
		live: map[fleet.MinionID]fleet.Digest{}, jobs: map[string]fleet.Return{}, broken: map[string]bool{}, ran: map[string]int{},
		pool: map[string]bool{}, poolLow: len(ids), away: map[fleet.MinionID]bool{}, drained: map[fleet.MinionID]bool{}, changed: make(chan struct{}),
	}
	for _, id := range ids {
		w.live[id] = fleet.Digest(live)
		w.pool[string(id)] = live != ""
	}
	return w
}

func (w *world) SaveDeployment(_ context.Context, d *fleet.Deployment, _ []*fleet.MinionProgress, _ ...fleet.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.saves++; w.saves == w.failAt {
		return errDisk
	}
	w.stored, _ = json.Marshal(d)
	return nil
}

func (w *world) SetLive(_ context.Context, _ fleet.AppName, _ fleet.GroupName, live map[fleet.MinionID]fleet.Digest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.live, live)
	return nil
}

func (w *world) SetTarget(_ context.Context, _ fleet.AppName, _ fleet.GroupName, r fleet.Digest, _ fleet.DeploymentID) error {
	w.target = r
	return nil
}

func (w *world) Revision(_ context.Context, _ fleet.AppName, d fleet.Digest) (fleet.Revision, error) {
	return fleet.Revision{Digest: d, Origin: fleet.Origin{Ref: string(d)}}, nil
}

func (w *world) ServingSide(context.Context, fleet.AppName, fleet.GroupName) (fleet.Side, error) {
	return "", nil
}

func (w *world) ReturnsAfter(_ context.Context, job fleet.JobID, _ uint64) ([]fleet.Return, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []fleet.Return
	for _, r := range w.jobs {
		if r.Job == job {
			out = append(out, r)
		}
	}
	return out, 0, nil
}

func (w *world) Find(_ context.Context, _ fleet.Group, id fleet.MinionID) (fleet.Minion, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.live[id]
	return fleet.Minion{ID: id, Drained: w.drained[id]}, ok, nil
}

func (w *world) Kill(context.Context, fleet.JobID, string) error { return nil }

func (w *world) Changed() <-chan struct{} { return w.changed }

func (w *world) Candidates(context.Context, fleet.AppName, fleet.Group, fleet.GroupName) ([]Candidate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Candidate
	for id, live := range w.live {
		out = append(out, Candidate{Minion: fleet.Minion{ID: id, Connected: !w.away[id], Drained: w.drained[id]}, Live: live})
	}
	return out, nil
}

func (w *world) Publish(_ context.Context, _ *fleet.Deployment, jobs []fleet.Job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range jobs {
		key := string(j.ID) + "/" + string(j.Minion)
		if _, again := w.jobs[key]; again {
			continue
		}
		if w.pool[string(j.Minion)] {
			return fmt.Errorf("%s got a job inside its pool", j.Minion)
		}
		var order fleet.ReleaseOrder
		if err := json.Unmarshal(j.Args, &order); err != nil {
			return err
		}
		w.drained["b"] = w.drainB
		what := fmt.Sprintf("%s@%s", j.Minion, order.Revision.Digest)
		w.ran[what]++
		ret := fleet.Return{Job: j.ID, Minion: j.Minion, Last: true, Outcome: fleet.Succeeded}
		live := order.Revision.Digest
		if w.broken[what] {
			ret.Outcome, ret.Reason, live = fleet.Failed, "ValidateService failed", w.live[j.Minion]
		}
		ret.Value, _ = json.Marshal(fleet.ReleaseResult{Live: live, Serving: true})
		w.jobs[key] = ret
	}
	return nil
}

func (w *world) GoneSince(fleet.MinionID) time.Time { return time.Time{} }

func (w *world) Prepare(context.Context, fleet.Application, string, string, func(string)) (fleet.Revision, error) {
	return fleet.Revision{Digest: "v2", Origin: fleet.Origin{Ref: "v2"}}, nil
}

func (w *world) Fetch(context.Context, fleet.Revision, time.Duration) (string, string, error) {
	return "http://:1/x", "AGE-SECRET-KEY-1", nil
}

func (w *world) Drain(_ context.Context, _ string, m balancer.Member) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pool[m.Name] = false
	w.poolLow = min(w.poolLow, w.members())
	return w.poolDead
}

func (w *world) Activate(_ context.Context, _ string, m balancer.Member) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pool[m.Name] = true
	return w.poolDead
}

func (w *world) Members(context.Context, string) (map[string]balancer.Status, error) {
	return nil, w.poolDead
}

func (w *world) members() int {
	n := 0
	for _, in := range w.pool {
		if in {
			n++
		}
	}
	return n
}

// run carries a deployment of v2 out, over as many deaths of the master as it takes.
func (w *world) run(t *testing.T, strategy fleet.Strategy) *fleet.Deployment {
	t.Helper()
	group := &fleet.Group{Target: "*", Root: "/srv/shop", Strategy: strategy, Balancer: &fleet.PoolSpec{Use: "main", Pool: "shop", Address: "{id}:80"}}
	app := fleet.Application{Name: "shop", Groups: map[fleet.GroupName]*fleet.Group{"production": group}}
	r := &Rollout{Ledger: w, Fleet: w, Revisions: w, Balancers: map[string]balancer.Balancer{"main": w}, Log: slog.New(slog.DiscardHandler)}
	d := &fleet.Deployment{ID: "d1", App: "shop", Group: "production", Kind: fleet.KindDeploy, Ref: "v2", Previous: w.live["a"], Status: fleet.Queued, Strategy: strategy}
	w.stored, _ = json.Marshal(d)
	for range 3 {
		d = new(fleet.Deployment)
		if err := json.Unmarshal(w.stored, d); err != nil {
			t.Fatal(err)
		}
		err := r.Run(t.Context(), app, d)
		if err == nil {
			return d
		}
		if !errors.Is(err, errDisk) {
			t.Fatal(err)
		}
	}
	t.Fatal("the deployment does not end")
	return nil
}

func (w *world) state() string {
	var words []string
	for id, live := range w.live {
		in := "out"
		if w.pool[string(id)] {
			in = "in"
		}
		words = append(words, fmt.Sprintf("%s=%s,%s", id, live, in))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestADeploymentEndsAsItShouldWhereverTheMasterDied(t *testing.T) {
	tests := []struct {
		name     string
		live     string
		broken   []string
		strategy fleet.Strategy
		status   fleet.DeploymentStatus
		state    string
		target   fleet.Digest
	}{
		{"all pass", "v1", nil, fleet.Strategy{}, fleet.DeploySucceeded, "a=v2,in b=v2,in c=v2,in", "v2"},
		{"first deployment", "", nil, fleet.Strategy{}, fleet.DeploySucceeded, "a=v2,in b=v2,in c=v2,in", "v2"},
		{"the second fails: all are back", "v1", []string{"b@v2"}, fleet.Strategy{}, fleet.Reverted, "a=v1,in b=v1,in c=v1,in", ""},
		{"no revert wanted", "v1", []string{"b@v2"}, fleet.Strategy{NoRevert: true}, fleet.DeployFailed, "a=v2,in b=v1,out c=v1,in", ""},
		{"one failure is permitted", "v1", []string{"b@v2"}, fleet.Strategy{MaxFailures: 1}, fleet.DeployPartly, "a=v2,in b=v1,out c=v2,in", "v2"},
		{"nothing before to go back to", "", []string{"a@v2"}, fleet.Strategy{}, fleet.DeployFailed, "a=,out b=,out c=,out", ""},
		{"the old one is broken too", "v1", []string{"b@v2", "b@v1"}, fleet.Strategy{}, fleet.DeployFailed, "a=v1,in b=v1,out c=v1,in", ""},
		{"two at once", "v1", []string{"b@v2"}, fleet.Strategy{Batch: fleet.Amount{Value: 2}}, fleet.Reverted, "a=v1,in b=v1,in c=v1,in", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for failAt := 0; ; failAt++ {
				w := newWorld(tt.live, "a", "b", "c")
				w.failAt = failAt
				for _, b := range tt.broken {
					w.broken[b] = true
				}
				d := w.run(t, tt.strategy)
				if d.Status != tt.status || w.state() != tt.state || w.target != tt.target {
					t.Fatalf("died at save %d: %s (%s), fleet %s, target %q; want %s, %s, %q", failAt, d.Status, d.Reason, w.state(), w.target, tt.status, tt.state, tt.target)
				}
				for what, n := range w.ran {
					if n > 1 {
						t.Fatalf("died at save %d: %s ran %d times", failAt, what, n)
					}
				}
				if failAt > w.saves {
					return
				}
			}
		})
	}
}

func TestThePoolNeverFallsBelowTheMinimum(t *testing.T) {
	w := newWorld("v1", "a", "b", "c", "d")
	w.broken["b@v2"] = true
	strategy := fleet.Strategy{Batch: fleet.Amount{Value: 100, Percent: true}, MinHealthy: fleet.Amount{Value: 3}, MaxFailures: 4}
	d := w.run(t, strategy)
	if w.poolLow < 3 {
		t.Errorf("the pool had %d members, minimum 3", w.poolLow)
	}
	if d.Status != fleet.Reverted || !strings.Contains(d.Reason, "min_healthy") {
		t.Errorf("status %s (%s): b is out for good, so taking out another would break the minimum", d.Status, d.Reason)
	}
}

func TestNothingIsTouchedWhenTheBalancerCannotBeReached(t *testing.T) {
	w := newWorld("v1", "a", "b")
	w.poolDead = errors.New("dial unix /run/x.sock: no such file")
	d := w.run(t, fleet.Strategy{})
	if d.Status != fleet.DeployFailed || !strings.Contains(d.Reason, "balancer main") || len(w.ran) != 0 || w.state() != "a=v1,in b=v1,in" {
		t.Errorf("status %s (%s), fleet %s", d.Status, d.Reason, w.state())
	}
}

func TestAMinionThatIsAwayIsToldAndDoesNotHoldTheOthersUp(t *testing.T) {
	w := newWorld("v1", "a", "b")
	w.away["b"] = true
	d := w.run(t, fleet.Strategy{})
	if d.Status != fleet.DeployPartly || w.target != "v2" || !strings.Contains(d.Reason, "1 not connected") {
		t.Errorf("status %s (%s), target %q", d.Status, d.Reason, w.target)
	}
}

func TestAMinionThatIsDrainedMeanwhileStaysOut(t *testing.T) {
	w := newWorld("v1", "a", "b")
	w.drainB = true
	d := w.run(t, fleet.Strategy{Batch: fleet.Amount{Value: 2}})
	if d.Status != fleet.DeploySucceeded || w.state() != "a=v2,in b=v2,out" {
		t.Errorf("status %s (%s), fleet %s", d.Status, d.Reason, w.state())
	}
}
