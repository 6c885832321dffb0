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
