package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/brine-deploy/brine/pkg/fleet"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// candidatesOf makes candidates of a line such as "web1=v1 web2 web3=v1,away web4=v1,drained".
func candidatesOf(line string) []Candidate {
	var out []Candidate
	for word := range strings.FieldsSeq(line) {
		word, flags, _ := strings.Cut(word, ",")
		id, live, _ := strings.Cut(word, "=")
		m := fleet.Minion{ID: fleet.MinionID(id), Connected: !strings.Contains(flags, "away"), Drained: strings.Contains(flags, "drained")}
		out = append(out, Candidate{Minion: m, Live: fleet.Digest(live)})
	}
	return out
}

func show(planned []fleet.PlanMinion) string {
	var words []string
	for _, p := range planned {
		if p.Skip != "" {
			words = append(words, fmt.Sprintf("%s:%s", p.Minion, strings.ReplaceAll(p.Skip, " ", "_")))
			continue
		}
		words = append(words, fmt.Sprintf("%s:%d", p.Minion, p.Batch))
	}
	return strings.Join(words, " ")
}

func TestBatchesFollowTheStrategy(t *testing.T) {
	tests := []struct {
		name       string
		batch, min string
		fleet      string
		want, fail string
	}{
		{name: "one at a time when nothing is said", batch: "0", min: "0", fleet: "b=v1 a=v1", want: "a:0 b:1"},
		{name: "by count", batch: "2", min: "0", fleet: "a=v1 b=v1 c=v1", want: "a:0 b:0 c:1"},
		{name: "half, rounded down", batch: "half", min: "0", fleet: "a=v1 b=v1 c=v1", want: "a:0 b:1 c:2"},
		{name: "by percent, at least one", batch: "10%", min: "0", fleet: "a=v1 b=v1 c=v1", want: "a:0 b:1 c:2"},
		{name: "all at once", batch: "all", min: "0", fleet: "a=v1 b=v1 c=v1", want: "a:0 b:0 c:0"},
		{name: "those that serve nothing first", batch: "1", min: "0", fleet: "a=v1 b", want: "b:0 a:1"},
		{name: "at the revision, away, drained", batch: "1", min: "0", fleet: "a=v2 b=v1 c=v1,away d=v1,drained", want: "b:0 a:already_at_this_revision c:not_connected_yet d:drained_by_an_operator"},
		{name: "minimum healthy makes batches smaller", batch: "all", min: "2", fleet: "a=v1 b=v1 c=v1", want: "a:0 b:1 c:2"},
		{name: "what a first deployment brings up counts from the next batch on", batch: "all", min: "1", fleet: "a=v1 b", want: "b:0 a:1"},
		{name: "a minimum that permits nothing", batch: "1", min: "100%", fleet: "a=v1 b=v1", fail: "min_healthy 100% of 2 minions is 2, and 2 serve"},
		{name: "away minions do not serve", batch: "1", min: "2", fleet: "a=v1 b=v1 c=v1,away", fail: "and 2 serve"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			batch, err := fleet.ParseAmount(tt.batch)
			if err != nil {
				t.Fatal(err)
			}
			minimum, err := fleet.ParseAmount(tt.min)
			if err != nil {
				t.Fatal(err)
			}
			group := fleet.Group{Strategy: fleet.Strategy{Batch: batch, MinHealthy: minimum}}
			got, _, err := Batches(Order{Group: group, Revision: "v2", Now: now}, candidatesOf(tt.fleet))
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Fatalf("error %v, want %q", err, tt.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if show(got) != tt.want {
				t.Errorf("plan %q, want %q", show(got), tt.want)
			}
		})
	}
}

func TestNoPlanGoesBelowTheMinimum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "minions")
		var candidates []Candidate
		serving := 0
		for i := range n {
			c := Candidate{Minion: fleet.Minion{ID: fleet.MinionID(fmt.Sprintf("m%02d", i)), Connected: rapid.Bool().Draw(t, "connected")}}
			if rapid.Bool().Draw(t, "live") {
				c.Live = "v1"
			}
			if c.Live != "" && c.Minion.Connected {
				serving++
			}
			candidates = append(candidates, c)
		}
		strategy := fleet.Strategy{
			Batch:      fleet.Amount{Value: rapid.IntRange(0, 100).Draw(t, "batch"), Percent: rapid.Bool().Draw(t, "batch percent")},
			MinHealthy: fleet.Amount{Value: rapid.IntRange(0, 100).Draw(t, "min"), Percent: true},
		}
		planned, _, err := Batches(Order{Group: fleet.Group{Strategy: strategy}, Revision: "v2", Now: now}, candidates)
		if err != nil {
			return
		}
		out, fresh := map[int]int{}, map[int]int{}
		last := -1
		for _, p := range planned {
			if p.Skip != "" {
				continue
			}
			if p.Batch < last || p.Batch > last+1 {
				t.Fatalf("batch %d after %d", p.Batch, last)
			}
			last = p.Batch
			if p.Current != "" {
				out[p.Batch]++
			} else {
				fresh[p.Batch]++
			}
		}
		for b := 0; b <= last; b++ {
			if out[b] > 0 && serving-out[b] < strategy.MinHealthy.Of(n) {
				t.Fatalf("batch %d leaves %d of %d, minimum %d", b, serving-out[b], n, strategy.MinHealthy.Of(n))
			}
			serving += fresh[b]
		}
	})
}

func TestVerdictOfAMinion(t *testing.T) {
	e := Expected{Minion: "a", Published: now, Timeout: time.Minute}
	ret := func(o fleet.Outcome, reason string) *fleet.Return {
		return &fleet.Return{Last: true, Outcome: o, Reason: reason}
	}
	tests := []struct {
		name   string
		got    Got
		after  time.Duration
		want   Decision
		reason string
	}{
		{"nothing yet", Got{}, time.Second, Wait, "installing"},
		{"succeeded", Got{Return: ret(fleet.Succeeded, "")}, time.Second, Pass, "validated"},
		{"failed", Got{Return: ret(fleet.Failed, "hook x failed")}, time.Second, Fail, "hook x failed"},
		{"interrupted", Got{Return: ret(fleet.Interrupted, "died")}, time.Second, Fail, "interrupted: died"},
		{"gone for a short time", Got{GoneSince: now.Add(time.Second)}, 30 * time.Second, Wait, ""},
		{"gone for too long", Got{GoneSince: now.Add(time.Second)}, 61 * time.Second, Fail, "lost"},
		{"gone since before the job: counted from the job", Got{GoneSince: now.Add(-time.Hour)}, 30 * time.Second, Wait, ""},
		{"a return counts though the minion is gone", Got{Return: ret(fleet.Succeeded, ""), GoneSince: now}, time.Hour, Pass, ""},
		{"too late", Got{}, time.Minute + Grace, Fail, "timed out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := JudgeMinion(fleet.Strategy{}, e, tt.got, now.Add(tt.after))
			if v.Decision != tt.want || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("verdict %v %q, want %v %q", v.Decision, v.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestExpandNamesWhatIsMissing(t *testing.T) {
	m := fleet.Minion{ID: "web1", Tags: fleet.Tags{"port": "80"}, Grains: fleet.Grains{"ipv4": []any{"10.0.0.1", "10.0.0.2"}, "net": map[string]any{"zone": "a"}}}
	got, err := Expand("{id}/{grains.ipv4}:{tags.port}/{grains.net.zone}", m)
	if err != nil || got != "web1/10.0.0.1:80/a" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Expand("{tags.color}:{grains.net}", m); err == nil || !strings.Contains(err.Error(), "{tags.color}, {grains.net}") {
		t.Errorf("error %v does not name what is missing", err)
	}
}

func BenchmarkPlanOf10000Minions(b *testing.B) {
	var candidates []Candidate
	for i := range 10_000 {
		m := fleet.Minion{ID: fleet.MinionID(fmt.Sprintf("web%05d", i)), Connected: true, Grains: fleet.Grains{"zone": fmt.Sprint(i % 3)}, Tags: fleet.Tags{"port": "80"}}
		candidates = append(candidates, Candidate{Minion: m, Live: "v1"})
	}
	d := &fleet.Deployment{Strategy: fleet.Strategy{
		Batch: fleet.Amount{Value: 10, Percent: true}, MinHealthy: fleet.Amount{Value: 50, Percent: true},
		Canary: &fleet.Canary{Bake: 1}, Zones: &fleet.Zones{By: "zone", MinHealthy: fleet.Amount{Value: 10, Percent: true}},
	}}
	group := fleet.Group{Balancer: &fleet.PoolSpec{Use: "lb", Pool: "shop", Address: "{id}.example.com:{tags.port}"}}
	for b.Loop() {
		if _, _, err := Plan(group, d, candidates, now); err != nil {
			b.Fatal(err)
		}
	}
}
