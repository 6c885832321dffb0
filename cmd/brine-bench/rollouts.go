package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// planned is how many minions the bar for plans is about, however many there are beside.
const planned = 10_000

// rollouts measures deployments to many simulated minions, whose hooks take no time: forth, and back, and so on.
func rollouts(ctx context.Context, b *bench) error {
	if err := b.planning(); err != nil {
		return err
	}
	if err := b.shop(ctx); err != nil {
		return err
	}
	defer b.unshop()
	if err := b.start(ctx); err != nil {
		return err
	}
	s := newSwarm(b.keys[:b.minions], b.bus, b.master.Bus, brine)
	defer s.close()
	for _, m := range s.minions {
		m.answers, m.result = true, released
	}
	if err := s.connect(ctx, 0, b.minions); err != nil {
		return err
	}
	s.run(ctx, 0, b.minions)
	if err := s.allReady(ctx, b.minions); err != nil {
		return err
	}
	var cpu, walls []float64
	var memory []int64
	err := b.profiled(ctx, "rollouts", func() error {
		for i := range b.reps {
			if err := pause(ctx, time.Second); err != nil { // what came before has settled
				return err
			}
			used, begun := b.cpu(), time.Now()
			if _, err := b.roll(ctx, "/v1/deployments", fmt.Sprintf("v%d", i%2+1)); err != nil {
				return err
			}
			cpu = append(cpu, (b.cpu()-used).Seconds()*planned/float64(b.minions))
			walls = append(walls, time.Since(begun).Seconds())
			memory = append(memory, b.rss())
		}
		return nil
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("deployment to %d minions, 10 %% at a time", b.minions)
	b.report.noted(what, median(walls), "s", "", spread(walls))
	b.report.noted("master's CPU of it, per 10,000 minions", median(cpu), "s", "<= 3", spread(cpu))
	b.report.alone("master's memory after it", mib(memory[0]), "MB", "<= 400")
	b.report.alone("master's memory after five beside after two", float64(memory[len(memory)-1])/float64(memory[min(1, len(memory)-1)]), "", "<= 1.5")
	return nil
}

// spread shows how far apart the repetitions were.
func spread(values []float64) string {
	return fmt.Sprintf("%s to %s", number(slices.Min(values)), number(slices.Max(values)))
}

// released is what a minion returns that has installed what it was told to.
func released(body []byte) json.RawMessage {
	var job struct {
		Args fleet.ReleaseOrder `json:"args"`
	}
	if json.Unmarshal(body, &job) != nil || job.Args.Revision.Digest == "" {
		return json.RawMessage("true")
	}
	text, err := json.Marshal(fleet.ReleaseResult{Live: job.Args.Revision.Digest, Serving: true})
	if err != nil {
		return json.RawMessage("true")
	}
	return text
}

// shop makes an application of two revisions, which go to everybody.
func (b *bench) shop(ctx context.Context) error {
	if err := commits(ctx, filepath.Join(b.dir, "shop")); err != nil {
		return err
	}
	text := fmt.Sprintf("name: shop\nsource: {type: git, url: \"file://%s/shop\", ref: main}\ngroups:\n  production:\n    target: \"*\"\n    root: /srv/shop\n    strategy: {batch: 10%%}\n", b.dir)
	if err := os.WriteFile(b.shopFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write application: %w", err)
	}
	return nil
}

// commits makes a repository with the tags v1 and v2, whose file version names them.
func commits(ctx context.Context, repo string) error {
	if err := os.MkdirAll(repo, 0o755); err != nil {
		return fmt.Errorf("make repository: %w", err)
	}
	git := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
		return nil
	}
	if err := git("init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	for _, tag := range []string{"v1", "v2"} {
		if err := os.WriteFile(filepath.Join(repo, "version"), []byte(tag+"\n"), 0o644); err != nil {
			return fmt.Errorf("make revision: %w", err)
		}
		err := errors.Join(git("add", "--all"), git("-c", "user.name=Bench", "-c", "user.email=bench@example.com", "commit", "--quiet", "-m", tag), git("tag", tag))
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) shopFile() string { return filepath.Join(b.dir, "apps.d", "shop.yml") }

// unshop lets the measurements that follow begin without deployments.
func (b *bench) unshop() {
	b.kill()
	os.Remove(b.shopFile()) //nolint:errcheck // it is in our own directory
}

// roll carries a deployment or a rollback out, which must succeed. Until it has ended a list is asked for, not the
// deployment itself: all its minions are much to read.
func (b *bench) roll(ctx context.Context, path, ref string) (d fleet.Deployment, err error) {
	if err := b.post(ctx, path, fleet.DeployRequest{App: "shop", Group: "production", Ref: ref}, &d); err != nil {
		return d, err
	}
	err = until(ctx, "the deployment ends", func() bool {
		var list []fleet.Deployment
		if b.get(ctx, "/v1/deployments?limit=20", &list) != nil {
			return false
		}
		i := slices.IndexFunc(list, func(one fleet.Deployment) bool { return one.ID == d.ID })
		return i >= 0 && list[i].Status.Ended()
	})
	if err == nil {
		err = b.get(ctx, "/v1/deployments/"+string(d.ID), &d)
	}
	if err == nil && d.Status != fleet.DeploySucceeded {
		err = fmt.Errorf("deployment of %s %s: %s", ref, d.Status, d.Reason)
	}
	return d, err
}

// planning plans for many minions, with all that makes it hard.
func (b *bench) planning() error {
	candidates := make([]rollout.Candidate, planned)
	for i := range candidates {
		candidates[i] = rollout.Candidate{Live: "v1", Minion: fleet.Minion{
			ID: minionID(i), Connected: true, Grains: fleet.Grains{"zone": fmt.Sprint(i % 3)}, Tags: fleet.Tags{"port": "80"},
		}}
	}
	d := &fleet.Deployment{Strategy: fleet.Strategy{
		Batch: fleet.Amount{Value: 10, Percent: true}, MinHealthy: fleet.Amount{Value: 50, Percent: true}, Canary: &fleet.Canary{Bake: 1},
		Zones: &fleet.Zones{By: "zone", MinHealthy: fleet.Amount{Value: 10, Percent: true}},
	}}
	group := fleet.Group{Balancer: &fleet.PoolSpec{Use: "lb", Pool: "shop", Address: "{id}.example.com:{tags.port}"}}
	var took []float64
	for range b.reps {
		begun := time.Now()
		if _, _, err := rollout.Plan(group, d, candidates, begun); err != nil {
			return err
		}
		took = append(took, ms(time.Since(begun)))
	}
	b.report.noted("plan of 10,000 minions", median(took), "ms", "<= 50", spread(took))
	return nil
}
