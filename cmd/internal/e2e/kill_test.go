package e2e

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// part names one minion's answer to one job.
type part struct {
	job    fleet.JobID
	minion fleet.MinionID
}

// wantReturnsOnce checks the records that went to the returners: no number is missing, and each of the jobs was returned
// exactly once.
func wantReturnsOnce(t *testing.T, s *fleettest.Shop, jobs []part) {
	t.Helper()
	var records map[uint64]fleet.Record
	returned := map[part]int{}
	s.Await("the returns reach the returner", func() bool {
		records = s.Records()
		clear(returned)
		for _, r := range records {
			if r.Kind == fleet.JobReturned {
				returned[part{r.Job, r.Minion}]++
			}
		}
		for _, job := range jobs {
			if returned[job] == 0 {
				return false
			}
		}
		return true
	})
	for seq := range uint64(len(records)) {
		if _, ok := records[seq+1]; !ok {
			t.Errorf("record %d is missing", seq+1)
		}
	}
	for job, n := range returned {
		if n != 1 {
			t.Errorf("%v was returned %d times", job, n)
		}
	}
}

func jobsOf(t *testing.T, d fleet.Deployment) (jobs []part) {
	t.Helper()
	if len(d.Minions) == 0 {
		t.Fatal("the deployment has no minions")
	}
	for _, m := range d.Minions {
		jobs = append(jobs, part{m.Job, m.Minion})
	}
	return jobs
}

// TestADeploymentOutlivesItsMaster kills the master inside deployments. Each goes on where it was, whoever watches sees
// its end, and the users see nothing at all.
func TestADeploymentOutlivesItsMaster(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 3, HAProxy: true})
	s.Commit("v1")
	s.Must(0, "deploy", "shop", "production", "--ref", "v1", "--yes")
	s.Commit("v2")
	load := fleettest.StartLoad(t, s.Front.URL)
	slow := func() {}
	var gate fleettest.Gate
	var deployment fleet.Deployment
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))

	for i, tc := range []struct {
		name      string
		prepare   func()
		instant   func()
		whileDead func()
	}{
		{"while it builds", func() { gate = s.Gate("build") }, func() { s.Await("the build runs", gate.Reached) }, func() { gate.Open() }},
		{
			"while one installs and ends",
			func() { gate = s.Gate("web2-ApplicationStart") },
			func() { s.Await("web2 installs", gate.Reached) },
			func() {
				gate.Open()
				s.Await("web2 is done", func() bool { return s.LogSays("web2", `msg="job ended" job=`+string(deployment.ID)) })
			},
		},
		{
			"while one drains",
			func() { slow = slowRequests(t, s.Front.URL) },
			func() {
				s.Await("web1 drains", func() bool { return s.Phase("web1") != fleet.Waiting && s.Phase("web1") != "" })
			},
			func() { slow() },
		},
		{"after the first is active", func() {}, func() { s.Await("web1 is active", func() bool { return s.Phase("web1") == fleet.Active }) }, func() {}},
		{"at some time", func() {}, func() { time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second)))) }, func() {}},
	} {
		tag := []string{"v2", "v1"}[i%2]
		tc.prepare()
		deploy := s.StartDeploy(tag)
		tc.instant()
		deployment = s.Newest()
		s.Kill("master")
		tc.whileDead()
		s.RestartMaster()
		s.Must(0, "watch", string(deployment.ID))
		if r := deploy.Must(0); !strings.Contains(r.Stdout, "3 minions active") {
			t.Errorf("killed %s, this was told:\n%s", tc.name, r.Stdout)
		}
		s.Await("all deployments have ended", s.Quiet)
		wantAll(t, s, tag)
		wantReturnsOnce(t, s, jobsOf(t, s.Newest()))
	}
	load.Stop()
}

// TestReturnsOutliveMasterAndMinion kills the master while jobs run, and a minion when its jobs have ended: its returns
// are on its disk alone then.
func TestReturnsOutliveMasterAndMinion(t *testing.T) {
	t.Parallel()
	s := fleettest.StartShop(t, fleettest.ShopConfig{Bin: bin, Minions: 2, Strategy: "{batch: all}"})
	s.Commit("v1")
	installs, runs := []fleettest.Gate{s.Gate("web1-ApplicationStart"), s.Gate("web2-ApplicationStart")}, s.Gate("run")
	deploy := s.StartDeploy("v1")
	run := s.Start("run", "*", "cmd.run", "while [ -e "+filepath.Join(s.Dir, "gates", "run")+" ]; do sleep 0.05; done; echo back", "--output", "json")
	s.Await("the jobs run", func() bool {
		for _, id := range s.Minions {
			if !s.LogSays(id, "function=cmd.run") {
				return false
			}
		}
		return installs[0].Reached() && installs[1].Reached()
	})
	deployment := s.Newest()

	s.Kill("master")
	installs[0].Open()
	runs.Open()
	s.Await("web1 is done", func() bool {
		return s.LogSays("web1", `msg="job ended" job=`+string(deployment.ID)) && s.LogSays("web1", "function=cmd.run outcome=succeeded")
	})
	s.Kill("web1")
	s.RestartMaster()
	s.StartMinion("web1")
	installs[1].Open()

	deploy.Must(0)
	if out := run.Must(0).Stdout; strings.Count(out, `"back"`) != 2 {
		t.Errorf("the run gave:\n%s", out)
	}
	wantReturnsOnce(t, s, jobsOf(t, s.Newest()))
}
