package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// bin holds the binaries under test.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "brine-bin-")
	if err == nil {
		err = fleettest.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir) // a leftover in the temporary directory
		os.Exit(code)
	}))
}

const (
	minions      = 3
	harmFor      = 12 * time.Second // of one seed
	jobEvery     = 40 * time.Millisecond
	mishapEvery  = 900 * time.Millisecond
	settleWithin = 90 * time.Second
)

// TestEveryJobRunsOnceAndIsToldOnce is the fault campaign: BRINE_SEEDS says how many seeds, BRINE_SEED names one.
func TestEveryJobRunsOnceAndIsToldOnce(t *testing.T) {
	first, n := uint64(1), 2
	if v, err := strconv.Atoi(os.Getenv("BRINE_SEEDS")); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("BRINE_SEED"), 10, 64); err == nil {
		first, n = v, 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { campaign(t, seed) })
	}
}

// stage is one campaign's fleet and what was asked of it.
type stage struct {
	*fleettest.Fleet
	t     *testing.T
	rng   *rand.Rand
	proxy *Proxy
	runs  string // directory: a file per minion, a line per run

	mu   sync.Mutex
	asks map[fleet.JobID]ask // guarded by mu; jobs that the master took
}

type ask struct {
	minion fleet.MinionID
	mark   string
}

func campaign(t *testing.T, seed uint64) {
	dir, err := os.MkdirTemp("", "faults-") // short: a Unix socket lives there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what they left is in %s", dir)
			return
		}
		_ = os.RemoveAll(dir) // a leftover in the temporary directory
	})
	f, err := fleettest.New(dir, bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &stage{Fleet: f, t: t, rng: rand.New(rand.NewPCG(seed, 1)), runs: filepath.Join(dir, "runs"), asks: map[fleet.JobID]ask{}}
	s.up(seed)
	s.harm()
	s.heal()
	s.check()
}

// up starts the master, and the minions behind the proxy.
func (s *stage) up(seed uint64) {
	ctx := s.t.Context()
	must(s.t, os.MkdirAll(s.runs, 0o755))
	must(s.t, s.StartMaster(ctx, "returners: {log: {type: file, path: "+filepath.Join(s.Dir, "records.jsonl")+"}}\n"))
	proxy, err := Listen("127.0.0.1:"+s.Bus, seed)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, proxy.Close()) })
	s.proxy = proxy
	for i := range minions {
		must(s.t, s.StartMinion(ctx, id(i), nil))
		must(s.t, s.Stop(id(i)))
		path := filepath.Join(s.Dir, id(i), "minion.yml")
		text, err := os.ReadFile(path)
		must(s.t, err)
		must(s.t, os.WriteFile(path, bytes.Replace(text, []byte("127.0.0.1:"+s.Bus), []byte(proxy.Addr()), 1), 0o600))
		must(s.t, s.StartMinion(ctx, id(i), nil))
	}
}

func id(i int) string { return "m" + strconv.Itoa(i+1) }

// harm publishes jobs while the network misbehaves and daemons are killed.
func (s *stage) harm() {
	s.proxy.Harm(true)
	ctx, stop := context.WithTimeout(s.t.Context(), harmFor)
	defer stop()
	var publishing sync.WaitGroup
	publishing.Go(func() { s.publish(ctx) })
	mishap := time.NewTicker(mishapEvery)
	defer mishap.Stop()
	for ctx.Err() == nil {
		select {
		case <-mishap.C:
			s.mishap()
		case <-ctx.Done():
		}
	}
	publishing.Wait()
}

// mishap kills a daemon and starts it again, or cuts the network. Starting is not waited for.
func (s *stage) mishap() {
	victim := s.rng.IntN(minions + 2)
	switch victim {
	case minions + 1:
		s.proxy.Cut()
	case minions:
		must(s.t, s.Kill("master"))
		must(s.t, s.Spawn("master"))
	default:
		must(s.t, s.Kill(id(victim)))
		must(s.t, s.Spawn(id(victim)))
	}
}

// publish asks for jobs, each with a mark of its own, as long as ctx goes.
func (s *stage) publish(ctx context.Context) {
	tick := time.NewTicker(jobEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		a := ask{minion: fleet.MinionID(id(n % minions)), mark: "job" + strconv.Itoa(n)}
		job, err := s.ask(ctx, a)
		if err != nil {
			continue // the master is down: it may have taken the job or not
		}
		s.mu.Lock()
		s.asks[job] = a
		s.mu.Unlock()
	}
}

// ask publishes one job that writes its mark into its minion's file.
func (s *stage) ask(ctx context.Context, a ask) (fleet.JobID, error) {
	command := fmt.Sprintf("echo %s >> %s; sleep 0.05", a.mark, filepath.Join(s.runs, string(a.minion)))
	args, err := json.Marshal(fleet.Call{Args: []any{command}})
	if err != nil {
		return "", err
	}
	request := fleet.RunRequest{Target: "L@" + string(a.minion), Function: "cmd.run", Args: args, Timeout: fleet.Duration(10 * time.Minute)}
	var ticket fleet.RunTicket
	err = s.Post(ctx, "/v1/jobs", request, &ticket)
	return ticket.Job, err
}

// heal ends the faults and waits until every job has its return.
func (s *stage) heal() {
	s.proxy.Harm(false)
	deadline := time.Now().Add(settleWithin)
	for time.Now().Before(deadline) {
		if returned := s.returned(); s.missing(returned) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	returned := s.returned()
	for job, a := range s.asks {
		if len(returned[job]) == 0 {
			s.t.Errorf("%s (%s on %s) has no return", job, a.mark, a.minion)
		}
	}
	s.t.FailNow()
}

func (s *stage) missing(returned map[fleet.JobID][]fleet.Return) int {
	n := 0
	for job := range s.asks {
		if len(returned[job]) == 0 {
			n++
		}
	}
	return n
}

// returned reads the last parts of returns from what the file returner wrote, by job. A record is one though the
// returner may have written it twice: its number tells.
func (s *stage) returned() map[fleet.JobID][]fleet.Return {
	out := map[fleet.JobID][]fleet.Return{}
	file, err := os.Open(filepath.Join(s.Dir, "records.jsonl"))
	if err != nil {
		return out
	}
	defer file.Close() //nolint:errcheck // it is only read
	seen := map[uint64]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r fleet.Record
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.Return == nil || seen[r.Seq] {
			continue // the last line may be half written
		}
		seen[r.Seq] = true
		out[r.Job] = append(out[r.Job], *r.Return)
	}
	return out
}

// check holds what both sides wrote down against what was asked.
func (s *stage) check() {
	returned := s.returned()
	ran := s.ran()
	outcomes := map[fleet.Outcome]int{}
	for job, a := range s.asks {
		if n := len(returned[job]); n != 1 {
			s.t.Errorf("%s is told %d times", job, n)
			continue
		}
		ret := returned[job][0]
		outcomes[ret.Outcome]++
		switch n := ran[a]; {
		case n > 1:
			s.t.Errorf("%s (%s) ran %d times", job, a.mark, n)
		case n == 0 && ret.Outcome == fleet.Succeeded:
			s.t.Errorf("%s (%s) is told as succeeded and never ran", job, a.mark)
		case n == 1 && ret.Outcome == fleet.Refused:
			s.t.Errorf("%s (%s) is told as refused and ran", job, a.mark)
		}
	}
	for a, n := range ran { // also of jobs whose asker got no answer
		if n > 1 {
			s.t.Errorf("%s ran %d times on %s", a.mark, n, a.minion)
		}
	}
	s.t.Logf("%d jobs: %v", len(s.asks), outcomes)
}

func (s *stage) ran() map[ask]int {
	out := map[ask]int{}
	for i := range minions {
		text, _ := os.ReadFile(filepath.Join(s.runs, id(i))) // no file: nothing ran there
		for mark := range strings.FieldsSeq(string(text)) {
			out[ask{fleet.MinionID(id(i)), mark}]++
		}
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
