package runner

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// doomed starts a process that runs the job and kills itself at a step.
func (h *host) doomed(d doom) *exec.Cmd {
	h.t.Helper()
	self, err := os.Executable()
	must(h.t, err)
	d.State, d.Program = h.state, h.program
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), d.env())
	cmd.Stderr = os.Stderr
	must(h.t, cmd.Start())
	return cmd
}

func wasKilled(cmd *exec.Cmd) bool {
	_ = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}

// instant is where a process dies: at a border between two steps, the how manyeth of that name.
type instant struct {
	step  string
	count int
}

// instants runs the scenario once, undisturbed, and returns the borders between its steps, in order, but for those at which
// everything on disk is as at the border before.
func instants(t *testing.T, layout string, sc scenario) []instant {
	h := newHost(t)
	h.layout = layout
	order := sc.setUp(h)
	var out []instant
	seen, last, before := map[string]int{}, "", sc.from != ""
	h.reached = func(step string) {
		seen[step]++
		before = before && step != sc.from
		if now := h.onDisk(); now != last && !before {
			last = now
			out = append(out, instant{step, seen[step]})
		}
	}
	_, _ = h.release(order)
	return out
}

// onDisk is a fingerprint of all that a minion finds when it starts again.
func (h *host) onDisk() string {
	h.t.Helper()
	sum := sha256.New()
	for _, dir := range []string{h.state, h.root} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == dir {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintln(sum, name, info.Mode())
			switch info.Mode().Type() {
			case 0:
				content, err := os.ReadFile(name)
				_, _ = sum.Write(content)
				return err
			case fs.ModeSymlink:
				to, err := os.Readlink(name)
				_, _ = fmt.Fprintln(sum, to)
				return err
			}
			return nil
		})
		must(h.t, err)
	}
	return string(sum.Sum(nil))
}

type scenario struct {
	name  string
	old   tree // nil: this is the first release
	next  tree
	setUp func(h *host) fleet.ReleaseOrder // makes old live and returns the order that will be interrupted
	from  string                           // the border from which it differs from the scenarios before; the first when empty
}

func scenarios() []scenario {
	// Of these v1 has what v2 has not, v2 what v1 has not, and each a file where the other has a directory.
	dirs, files := tree{"only1": "1", "sub1/a": "1", "sub1/b": "1", "turn": "file", "nrut/x": "1"}, tree{"only2": "2", "sub2/a/b": "2", "turn/x": "2", "nrut": "file"}
	after := func(next tree) func(h *host) fleet.ReleaseOrder {
		return func(h *host) fleet.ReleaseOrder {
			h.mustRelease(h.order(app("v0", nil)))
			h.mustRelease(h.order(app("v1", dirs)))
			order := h.order(next)
			order.Keep = 2
			if h.layout == "releases" {
				order.Shared = []string{"log/", "config"}
			}
			return order
		}
	}
	v1, first := app("v1", dirs), app("v2", nil)
	good, bad := app("v2", files), app("v2", files)
	good["config"], bad[hook(fleet.ValidateService)] = "seed", fails
	return []scenario{
		{name: "first", next: first, setUp: func(h *host) fleet.ReleaseOrder { return h.order(first) }},
		{name: "upgrade", old: v1, next: good, setUp: after(good)},
		{name: "upgrade that fails", old: v1, next: bad, setUp: after(bad), from: "before ValidateService " + hook(fleet.ValidateService)},
		{name: "rollback", old: v1, next: app("v0", nil), setUp: func(h *host) fleet.ReleaseOrder {
			v0 := h.order(app("v0", nil))
			h.mustRelease(v0)
			h.mustRelease(h.order(app("v1", dirs)))
			return v0
		}},
	}
}

// TestKillAtEveryStep is promise 2: whatever the instant, after the next start one whole release is live, the old or the
// new one, it runs, nothing is left over, the outcome is told, and the next job works.
func TestKillAtEveryStep(t *testing.T) {
	for _, layout := range layouts() {
		for _, sc := range scenarios() {
			killAtEveryStep(t, layout, sc)
		}
	}
}

func killAtEveryStep(t *testing.T, layout string, sc scenario) {
	for _, at := range instants(t, layout, sc) {
		if at.count > 3 && (at.step == "replaced" || at.step == "put back") {
			continue // one file is like the other
		}
		t.Run(fmt.Sprintf("%s/%s/%s %d", layout, sc.name, at.step, at.count), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.layout = layout
			order := sc.setUp(h)
			if !wasKilled(h.doomed(doom{KillAt: at.step, Count: at.count, Job: "doomed", Order: order})) {
				t.Fatal("the job was not killed there")
			}
			h.boot()
			live := h.wantRecovered(order, sc)
			if at.step == "entered validated" && live != "v2" && live != "v0" {
				t.Errorf("validated, but %s is live", live)
			}
			must(t, h.Forget("doomed"))
			for _, left := range h.recover() {
				if left.Job == "doomed" {
					t.Error("a forgotten job is told again")
				}
			}
			v3 := app("v3", nil)
			next := h.order(v3)
			next.Keep = 2
			h.mustRelease(next)
			h.wantLive(v3)
		})
	}
}

func (h *host) recover() []Interrupted {
	h.t.Helper()
	left, err := h.Recover(h.t.Context(), func(fleet.EventResult) {})
	must(h.t, err)
	return left
}

// wantRecovered starts the minion again and returns what is live then.
func (h *host) wantRecovered(order fleet.ReleaseOrder, sc scenario) string {
	h.t.Helper()
	next, left := sc.next, h.recover()
	i := slices.IndexFunc(left, func(i Interrupted) bool { return i.Job == "doomed" })
	if h.read(h.live("version")) == next["version"] {
		h.wantLive(next)
		if i < 0 || left[i].Outcome != fleet.Succeeded || !left[i].Result.Serving || left[i].Result.Live != order.Revision.Digest {
			h.t.Errorf("outcome %+v", left)
		}
		return next["version"]
	}
	h.wantOld(sc.old)
	if i < 0 {
		if len(left) != h.jobs { // killed before its first word: only the jobs before are told
			h.t.Errorf("outcomes %+v", left)
		}
		return sc.old["version"]
	}
	got := left[i]
	if got.Outcome != fleet.Interrupted && got.Outcome != fleet.Failed || got.Reason == "" ||
		got.Result.Serving != (sc.old != nil) || got.Result.Live == order.Revision.Digest {
		h.t.Errorf("outcome %+v", got)
	}
	for _, e := range got.Result.Events {
		if e.Outcome == fleet.EventRunning {
			h.t.Errorf("an event is still running: %+v", e)
		}
	}
	return sc.old["version"]
}

func (h *host) wantOld(old tree) {
	h.t.Helper()
	if old != nil {
		h.wantLive(old)
		return
	}
	if _, err := os.Lstat(filepath.Join(h.root, h.live("version"))); err == nil || h.read("running") != "" {
		h.t.Error("something is live or running that never was before")
	}
	h.wantOnly(nil)
	h.wantTidy()
}

func TestAScriptOfADeadMinionIsEndedBeforeTheOldReleaseComesBack(t *testing.T) {
	h := newHost(t)
	v1 := app("v1", nil)
	h.mustRelease(h.order(v1))
	order := h.order(app("v2", tree{hook(fleet.AfterInstall): `#!/bin/sh
setsid sh -c 'echo $$ >"$BRINE_ROOT/far"; while :; do sleep 0.05; done' &
echo $$ >"$BRINE_ROOT/near"
while :; do sleep 0.05; done
`}))
	cmd := h.doomed(doom{Job: "doomed", Order: order})
	eventually(t, "the script runs", func() bool { return h.read("far") != "" && h.read("near") != "" })
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if !alive(h.read("near")) {
		t.Fatal("the script died with the minion: this test shows nothing")
	}
	h.boot()
	left := h.recover()
	if got := left[len(left)-1]; got.Job != "job1" && got.Outcome != fleet.Interrupted {
		t.Errorf("outcome %+v", got)
	}
	h.wantLive(v1)
	for _, name := range []string{"near", "far"} {
		eventually(t, "the "+name+" process is gone", func() bool { return !alive(h.read(name)) })
	}
}

func TestARootThatIsNotThereIsTriedAgainByTheNextJob(t *testing.T) {
	h := newHost(t)
	v1 := app("v1", nil)
	h.mustRelease(h.order(v1))
	if !wasKilled(h.doomed(doom{KillAt: "switched", Count: 1, Job: "doomed", Order: h.order(app("v2", nil))})) {
		t.Fatal("not killed")
	}
	away := h.root + ".away"
	must(t, os.Rename(h.root, away))
	h.boot()
	i := slices.IndexFunc(h.recover(), func(i Interrupted) bool {
		return i.Job == "doomed" && strings.Contains(i.Reason, "could not be brought back: root is not there")
	})
	if _, err := os.Stat(h.root); i < 0 || err == nil {
		t.Error("not told, or the root was made anew")
	}
	must(t, os.Rename(away, h.root))
	h.traces()
	v3 := app("v3", nil)
	h.mustRelease(h.order(v3))
	h.wantLive(v3)
	if got := h.traces(); got[0] != "ApplicationStart v1" {
		t.Errorf("scripts ran: %v", got)
	}
}

func TestTheJournalHoldsNoSecretOfTheArchive(t *testing.T) {
	h := newHost(t)
	order := h.order(app("v1", nil))
	h.mustRelease(order)
	file := filepath.Join(h.state, "jobs/job1.json")
	data, err := os.ReadFile(file)
	must(t, err)
	info, err := os.Stat(file)
	must(t, err)
	if strings.Contains(string(data), order.Identity) || strings.Contains(string(data), "signature") || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s: %s", info.Mode(), data)
	}
	if time.Since(info.ModTime()) > time.Hour {
		t.Error("the journal is old")
	}
}

func TestWhatIsKeptOfOldJobsIsBoundedButNeverAnUnfinishedOne(t *testing.T) {
	h := newHost(t)
	for i := range keptJobs + 5 {
		j := newJournal(fleet.JobID(fmt.Sprintf("old%03d", i)), fleet.ReleaseOrder{Root: h.root})
		if i > 0 {
			j.Result = &fleet.ReleaseResult{}
		}
		must(t, h.save(j))
		must(t, os.Chtimes(filepath.Join(h.state, journalName(j.Job)), time.Time{}, time.Unix(int64(i+1), 0)))
	}
	h.tidy()
	left, err := h.journals()
	must(t, err)
	if len(left) != keptJobs+1 || left[0].Job != "old000" || left[1].Job != "old005" {
		t.Errorf("%d jobs left, from %s", len(left), left[1].Job)
	}
}
