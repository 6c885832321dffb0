package progress_test

import (
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/cmd/brine/progress"
	"github.com/brine-deploy/brine/pkg/fleet"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func event(name fleet.LifecycleEvent, outcome fleet.EventOutcome, from, to float64) *fleet.EventResult {
	e := &fleet.EventResult{Event: name, Outcome: outcome, Started: at(from)}
	if outcome != fleet.EventRunning {
		e.Ended = at(to)
	}
	return e
}

func failing() *fleet.EventResult {
	e := event(fleet.ApplicationStart, fleet.EventFailed, 3, 4.2)
	e.Script, e.ExitCode, e.Tail = "scripts/start.sh", 7, "starting\n\x1b[31mno port\x1b[0m\n"
	return e
}

func text(lines []progress.Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return strings.Join(out, "\n")
}

func TestRecordsBecomePlainLines(t *testing.T) {
	for _, c := range []struct {
		name   string
		record fleet.Record
		want   string
		tone   progress.Tone
	}{
		{"a note", fleet.Record{Kind: fleet.DeploymentNote, Message: "go build \x1b[1m./...\x1b[0m"}, "12:00:01 go build ./...", progress.Plain},
		{"a status", fleet.Record{Kind: fleet.DeploymentChanged, Status: fleet.Reverting, Message: "web1 failed"}, "12:00:01 deployment reverting: web1 failed", progress.Bad},
		{"a phase", fleet.Record{Kind: fleet.MinionChanged, Minion: "web1", Phase: fleet.Draining}, "12:00:01 web1  draining", progress.Busy},
		{
			"a skip",
			fleet.Record{Kind: fleet.MinionChanged, Minion: "web1", Phase: fleet.Skipped, Message: "already at this revision"},
			"12:00:01 web1  skipped     already at this revision", progress.Dim,
		},
		{
			"an event",
			fleet.Record{Kind: fleet.MinionEvent, Minion: "web1", Event: event(fleet.Install, fleet.EventSucceeded, 0, .4)},
			"12:00:01 web1  installing  Install ok (0.4s)", progress.Plain,
		},
		{
			"a failed script",
			fleet.Record{Kind: fleet.MinionEvent, Minion: "web1", Event: failing()},
			"12:00:01 web1  installing  ApplicationStart scripts/start.sh failed: exit code 7 (1.2s)", progress.Bad,
		},
		{
			"a script that CodeDeploy's words tell of", fleet.Record{Kind: fleet.MinionEvent, Minion: "web1", Event: &fleet.EventResult{
				Event: fleet.ValidateService, Script: "v.sh", Outcome: fleet.EventFailed, ExitCode: 1,
				Reason: "Script at specified location: v.sh failed with exit code 1",
			}}, "12:00:01 web1  installing  ValidateService v.sh failed: exit code 1 (0.0s)", progress.Bad,
		},
		{
			"a script that hung", fleet.Record{Kind: fleet.MinionEvent, Minion: "web1", Event: &fleet.EventResult{
				Event: fleet.ValidateService, Script: "v.sh", Outcome: fleet.EventFailed, ExitCode: 137,
				Reason: "Script at specified location: v.sh failed to complete in 2 seconds",
			}}, "12:00:01 web1  installing  ValidateService v.sh failed: did not complete in 2 seconds, exit code 137 (0.0s)", progress.Bad,
		},
		{"an event that runs", fleet.Record{Kind: fleet.MinionEvent, Minion: "web1", Event: event(fleet.Install, fleet.EventRunning, 0, 0)}, "", 0},
		{"a pool", fleet.Record{Kind: fleet.PoolChanged, Minion: "web1", Message: "out of lb/shop"}, "12:00:01 web1  installing  out of lb/shop", progress.Dim},
		{"a key", fleet.Record{Kind: fleet.KeyChanged, Minion: "web9"}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := progress.New(fleet.Deployment{Status: fleet.Running})
			s.Apply(fleet.Record{Kind: fleet.MinionChanged, Minion: "web1", Phase: fleet.Installing, Time: noon})
			c.record.Time = at(1)
			lines := s.Apply(c.record)
			if got := text(lines); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if len(lines) > 0 && lines[0].Tone != c.tone {
				t.Errorf("tone %d, want %d", lines[0].Tone, c.tone)
			}
		})
	}
}

func TestAReasonThatPhasesCarryAlongIsToldOnce(t *testing.T) {
	s := progress.New(fleet.Deployment{Status: fleet.Running})
	var got []progress.Line
	for _, phase := range []fleet.Phase{fleet.MinionFailed, fleet.Draining, fleet.MinionReverted} {
		got = append(got, s.Apply(fleet.Record{Kind: fleet.MinionChanged, Minion: "web1", Phase: phase, Message: "start failed", Time: noon})...)
	}
	want := "12:00:00 web1  failed      start failed\n12:00:00 web1  draining\n12:00:00 web1  reverted"
	if text(got) != want {
		t.Errorf("got\n%s\nwant\n%s", text(got), want)
	}
}

func fleetOf(t *testing.T, phases ...fleet.Phase) *progress.State {
	t.Helper()
	s := progress.New(fleet.Deployment{Status: fleet.Running, Created: noon})
	for i, phase := range phases {
		s.Apply(fleet.Record{Kind: fleet.MinionChanged, Minion: fleet.MinionID("web" + string(rune('1'+i))), Phase: phase, Time: at(1)})
	}
	return s
}

func TestRowsShowPhaseEventAndElapsed(t *testing.T) {
	s := fleetOf(t, fleet.Installing, fleet.Active, fleet.Waiting)
	s.Apply(fleet.Record{Kind: fleet.MinionEvent, Minion: "web1", Time: at(2), Event: event(fleet.ValidateService, fleet.EventRunning, 2, 0)})
	s.Apply(fleet.Record{Kind: fleet.DeploymentNote, Message: "batch 1 of 2", Time: at(2)})
	want := `running  5.0s  batch 1 of 2
  web1  installing    4.0s  ValidateService
  web2  active
  web3  waiting`
	if got := text(s.Rows(at(5), 10)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRowsThatDoNotFitAreCountedAndThoseAtWorkStay(t *testing.T) {
	s := fleetOf(t, fleet.Active, fleet.Active, fleet.MinionFailed, fleet.Installing, fleet.Waiting)
	want := `running  5.0s
  web3  failed
  web4  installing    4.0s
and 3 more minions: 1 waiting, 2 active`
	if got := text(s.Rows(at(5), 2)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSummarySaysWhatIsLiveWhereAndWhyMinionsFailed(t *testing.T) {
	v2 := fleet.Revision{Digest: fleet.Digest(strings.Repeat("b", 64)), Origin: fleet.Origin{Ref: "v2", Commit: "0123456789abcdef"}}
	v1 := fleet.Digest(strings.Repeat("a", 64))
	d := fleet.Deployment{
		App: "shop", Group: "production", Revision: &v2, Previous: v1, Created: noon, Ended: at(12),
		Status: fleet.Reverted, Reason: "web2 failed",
		Minions: []*fleet.MinionProgress{
			{Minion: "web1", Phase: fleet.Active},
			{Minion: "web2", Phase: fleet.MinionReverted, Events: []fleet.EventResult{*event(fleet.Install, fleet.EventSucceeded, 1, 2), *failing()}},
			{Minion: "web3", Phase: fleet.Skipped, Previous: v1, Reason: "drained"},
		},
	}
	const tail = `
web2: ApplicationStart scripts/start.sh failed: exit code 7 (1.2s)
    starting
    no port`
	for _, c := range []struct {
		name string
		now  *fleet.GroupStatus
		want string
	}{
		{"by itself", nil, `shop production: v2 (01234567) reverted after 12.0s: web2 failed
  MINION  STATE     LIVE                        POOL  REASON
  web1    active    bbbbbbbbbbbb v2 (01234567)  -     -
  web2    reverted  aaaaaaaaaaaa                -     -
  web3    skipped   aaaaaaaaaaaa                -     drained`},
		{"with the group's state", &fleet.GroupStatus{Minions: []fleet.GroupMinion{{Minion: "web1", Live: v1, Pool: "up"}}}, `shop production: v2 (01234567) reverted after 12.0s: web2 failed
  MINION  STATE     LIVE          POOL  REASON
  web1    active    aaaaaaaaaaaa  up    -
  web2    reverted  aaaaaaaaaaaa  -     -
  web3    skipped   aaaaaaaaaaaa  -     drained`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := text(progress.Summary(d, c.now)); got != c.want+tail {
				t.Errorf("got\n%s\nwant\n%s", got, c.want+tail)
			}
		})
	}
}
