package rollout

import (
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Decision is what a verdict comes to.
type Decision int

// The decisions.
const (
	Wait Decision = iota
	Pass
	Fail
)

// Verdict is a decision with its reason, in words for people.
type Verdict struct {
	Decision Decision
	Reason   string
}

// Expected is a minion that was sent the job of a batch.
type Expected struct {
	Minion    fleet.MinionID
	Published time.Time
	Timeout   time.Duration // of the job on the minion
}

// Got is what is known of an expected minion by now.
type Got struct {
	Return    *fleet.Return // its last part; nil while there is none
	GoneSince time.Time     // when it disconnected; zero while it is connected
}

// Grace is how long after a job's own timeout its return may come in: the minion ends its hooks with TERM and KILL and
// brings the release before back.
const Grace = 2 * time.Minute

// Lost begins the reason of a minion that was away for too long.
const Lost = "lost"

// JudgeMinion decides on one minion.
func JudgeMinion(s fleet.Strategy, e Expected, g Got, now time.Time) Verdict {
	lostAfter := s.LostAfter.Or(time.Minute)
	switch {
	case g.Return != nil && g.Return.Outcome == fleet.Succeeded:
		return Verdict{Pass, "installed and validated"}
	case g.Return != nil && g.Return.Outcome == fleet.Failed && g.Return.Reason != "":
		return Verdict{Fail, g.Return.Reason}
	case g.Return != nil:
		return Verdict{Fail, fmt.Sprintf("%s: %s", g.Return.Outcome, g.Return.Reason)}
	case !g.GoneSince.IsZero() && now.Sub(later(g.GoneSince, e.Published)) >= lostAfter:
		return Verdict{Fail, fmt.Sprintf(Lost+": not connected for %s inside its job", lostAfter)}
	case now.Sub(e.Published) >= e.Timeout+Grace:
		return Verdict{Fail, fmt.Sprintf("timed out: no return within %s", e.Timeout+Grace)}
	default:
		return Verdict{Wait, "installing"}
	}
}

// JudgeRollout decides whether a rollout goes on after a batch: failed counts the minions that failed so far.
func JudgeRollout(s fleet.Strategy, failed int) Verdict {
	if failed > s.MaxFailures {
		return Verdict{Fail, fmt.Sprintf("%s failed, max_failures is %d", minions(failed), s.MaxFailures)}
	}
	return Verdict{Pass, fmt.Sprintf("%s failed, max_failures is %d", minions(failed), s.MaxFailures)}
}

// JudgePause decides whether a pause is over.
func JudgePause(p fleet.Pause, now time.Time) Verdict {
	baked := p.Since.Add(time.Duration(p.Bake))
	until := baked.Add(p.Within.Or(defaultWithin))
	switch {
	case p.Answer != nil && !p.Answer.Approved:
		return Verdict{Fail, because("rejected by "+p.Answer.By, p.Answer.Reason)}
	case now.Before(baked):
		return Verdict{Wait, fmt.Sprintf("%s is watched until %s", p.Stage, baked.Local().Format(time.DateTime))}
	case p.Approve && p.Answer == nil && now.Before(until):
		return Verdict{Wait, fmt.Sprintf("%s waits for an approval until %s", p.Stage, until.Local().Format(time.DateTime))}
	case p.Approve && p.Answer == nil:
		return Verdict{Fail, fmt.Sprintf("%s was not approved within %s", p.Stage, p.Within.Or(defaultWithin))}
	case p.Approve:
		return Verdict{Pass, because(p.Stage+" was approved by "+p.Answer.By, p.Answer.Reason)}
	default:
		return Verdict{Pass, p.Stage + " was watched for " + time.Duration(p.Bake).String()}
	}
}

// defaultWithin is the time for an approval.
const defaultWithin = time.Hour

// because adds a person's reason, if there is one.
func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

// Reading is what an alarm said when it was last asked.
type Reading struct {
	Name     string
	State    AlarmState
	Detail   string    // what was seen: a value, an error
	Sounding time.Time // since when it sounds without a break; zero while it does not
}

// AlarmState is what an alarm says.
type AlarmState int

// The states of an alarm. An alarm that was not asked yet is unknown.
const (
	Unknown AlarmState = iota // no data, or it cannot be asked
	Quiet
	Sounds
)

// JudgeAlarms decides what a rollout does about its alarms: one that sounds for long enough ends it, one that nobody
// can read holds it up.
func JudgeAlarms(alarms []fleet.Alarm, readings map[string]Reading, now time.Time) Verdict {
	held := ""
	for _, a := range alarms {
		switch r := readings[a.Name]; {
		case r.State == Sounds && now.Sub(r.Sounding) >= time.Duration(a.For):
			return Verdict{Fail, because("alarm "+a.Name+" sounds", r.Detail)}
		case r.State != Quiet:
			held = because("alarm "+a.Name+" is inconclusive", r.Detail)
		}
	}
	if held != "" {
		return Verdict{Wait, held}
	}
	return Verdict{Pass, "no alarm sounds"}
}

func minions(n int) string {
	if n == 1 {
		return "1 minion"
	}
	return fmt.Sprintf("%d minions", n)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
