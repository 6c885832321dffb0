package delivery

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

func TestAKilledJobEndsWhereverItIs(t *testing.T) {
	f := newFleet(t)
	f.startMinion("web1", f.bus)
	f.startMinion("web2", f.bus)
	f.stop("web2")
	f.until("web2 is away", func() bool { return !f.minion("web2").Connected })

	pids := filepath.Join(f.dir, "pids")
	running := f.run("web1", "cmd.run", "trap 'echo told to end; exit 7' TERM; sleep 1000 & echo $$ $! > "+pids+"; echo begun; wait", time.Minute)
	waiting := f.run("web1", "cmd.run", "touch "+pids+".never", time.Minute)
	away := f.run("web2", "test.ping", "", time.Minute)
	f.until("the command runs", func() bool { text, _ := os.ReadFile(pids); return len(text) > 0 })
	f.until("the second one waits", func() bool { return f.state(waiting) == "delivered" })
	if got := f.state(away); got != "queued" {
		t.Errorf("the job of a minion that is away is %s", got)
	}

	var done fleet.Killing
	for _, id := range []fleet.JobID{waiting, running, away} {
		f.call("POST", "/v1/jobs/"+string(id)+"/kill", nil, &done)
	}
	if len(done.Withdrawn) != 1 || len(done.Told) != 0 {
		t.Errorf("killing the job of a minion that is away did %+v", done)
	}
	for id, reason := range map[fleet.JobID]string{running: "killed by ", waiting: " before it ran", away: " before the minion had it"} {
		ret := f.ended(id)
		if ret.Outcome != fleet.Killed || !strings.Contains(ret.Reason, reason) {
			t.Errorf("%s ended as %s: %s", id, ret.Outcome, ret.Reason)
		}
	}
	var output string
	if err := json.Unmarshal(f.ended(running).Value, &output); err != nil || output != "begun\ntold to end" {
		t.Errorf("output %q, %v", output, err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		f.until("process "+field+" is gone", func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
	}
	if _, err := os.Stat(pids + ".never"); err == nil {
		t.Error("the job that waited has run")
	}

	f.startMinion("web2", f.bus) // it never hears of its job
	f.ended(f.run("web2", "test.ping", "", time.Minute))
	if got := f.state(away); got != "killed" {
		t.Errorf("the withdrawn job is %s", got)
	}
}

func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestAMinionThatIsAwayIsToldToKillWhenItIsBack(t *testing.T) {
	f := newFleet(t)
	line := newLine(t, f.bus)
	f.startMinion("web1", line.addr())
	mark := filepath.Join(f.dir, "mark")
	id := f.run("web1", "cmd.run", "touch "+mark+"; sleep 1000", time.Minute)
	f.until("the command runs", func() bool { _, err := os.Stat(mark); return err == nil })
	line.cut()
	f.until("web1 is away", func() bool { return !f.minion("web1").Connected })
	var done fleet.Killing
	f.call("POST", "/v1/jobs/"+string(id)+"/kill", nil, &done)
	if len(done.Away) != 1 || len(done.Withdrawn) != 0 {
		t.Fatalf("killing did %+v", done)
	}
	line.mend()
	if ret := f.ended(id); ret.Outcome != fleet.Killed {
		t.Errorf("it ended as %s: %s", ret.Outcome, ret.Reason)
	}
}

func TestAJobThatDoesNotGetThereExpiresAndNeverRuns(t *testing.T) {
	f := newFleet(t)
	f.startMinion("web1", f.bus)
	f.stop("web1")
	f.until("web1 is away", func() bool { return !f.minion("web1").Connected })
	mark := filepath.Join(f.dir, "mark")
	late := f.run("web1", "cmd.run", "touch "+mark, 50*time.Millisecond)
	due := f.run("web1", "cmd.run", "echo ran", time.Minute)
	if ret := f.ended(late); ret.Outcome != fleet.Expired || !strings.Contains(ret.Reason, "never ran") {
		t.Errorf("it ended as %s: %s", ret.Outcome, ret.Reason)
	}
	f.stop("master")
	f.startMaster()
	f.startMinion("web1", f.bus)
	if ret := f.ended(due); ret.Outcome != fleet.Succeeded {
		t.Errorf("the job that was due ended as %s: %s", ret.Outcome, ret.Reason)
	}
	if _, err := os.Stat(mark); err == nil || f.state(late) != "expired" {
		t.Errorf("the late job is %s, its mark %v", f.state(late), err)
	}
	var list []fleet.JobSummary
	f.call("GET", "/v1/jobs?limit=5", nil, &list)
	if len(list) != 2 || list[0].ID != due || list[1].Outcomes[fleet.Expired] != 1 || list[1].Waiting != 0 {
		t.Errorf("the list says %+v", list)
	}
}

func TestALargeReturnArrivesAndHoldsNobodyUp(t *testing.T) {
	f := newFleet(t)
	f.startMinion("web1", f.bus)
	f.startMinion("web2", f.bus)
	const size = 3_000_000
	large := f.run("*", "cmd.run", "head -c "+strconv.Itoa(size)+" /dev/zero | tr '\\0' x", time.Minute)
	f.ended(f.run("web2", "test.ping", "", time.Minute))
	f.ended(large)
	for _, m := range f.job(large).PerMinion {
		var output string
		if err := json.Unmarshal(m.Return.Value, &output); err != nil || len(output) != size || strings.Trim(output, "x") != "" {
			t.Errorf("%s returned %d bytes, %v", m.Minion, len(output), err)
		}
	}
	f.until("the spools are empty", func() bool {
		return f.minion("web1").Connected && f.ended(f.run("*", "test.ping", "", time.Minute)).Outcome == fleet.Succeeded
	})

	// A command's output is cut at its documented limit.
	huge := f.ended(f.run("web1", "cmd.run", "head -c 10000000 /dev/zero | tr '\\0' x; echo end", time.Minute))
	var output string
	if err := json.Unmarshal(huge.Value, &output); err != nil || len(output) > 9<<20 || !strings.HasSuffix(output, "xend") || !strings.HasPrefix(output, "[1") {
		t.Errorf("%d bytes of the output came, %v", len(output), err)
	}
}

func TestALargeReturnSurvivesACutConnection(t *testing.T) {
	f := newFleet(t)
	line := newLine(t, f.bus)
	f.startMinion("web1", line.addr())
	id := f.run("web1", "cmd.run", "head -c 4000000 /dev/zero | tr '\\0' x", time.Minute)
	line.cutAfter(3 * wire.ChunkSize) // in the middle
	if ret := f.ended(id); ret.Outcome != fleet.Succeeded || len(ret.Value) < 4_000_000 {
		t.Errorf("%d bytes, %s: %s", len(ret.Value), ret.Outcome, ret.Reason)
	}
	if line.cuts() == 0 {
		t.Error("the connection was not cut: the test tests nothing")
	}
}

func TestPresenceTellsTheWayToAMinion(t *testing.T) {
	f := newFleet(t)
	f.startMinion("web1", f.bus)
	f.until("the way is measured", func() bool {
		v := f.minion("web1").Vitals
		return v != nil && v.RoundTrip > 0
	})
	v := f.minion("web1").Vitals
	if !strings.HasPrefix(v.Address, "127.0.0.1:") || v.RoundTrip > 5000 || v.ClockSkew > 2500 || v.ClockSkew < -2500 || v.Spooled != 0 {
		t.Errorf("vitals %+v", v)
	}
	f.stop("web1")
	f.until("web1 is away", func() bool { return !f.minion("web1").Connected })
	if m := f.minion("web1"); m.Vitals != nil || time.Since(m.Since) > time.Minute {
		t.Errorf("away it is %+v", m)
	}
}
