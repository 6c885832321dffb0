package fleet

import "time"

// DeploymentKind says why a deployment exists.
type DeploymentKind string

// The kinds of deployment.
const (
	KindDeploy   DeploymentKind = "deploy"
	KindRollback DeploymentKind = "rollback" // to an earlier revision, on a person's order
	KindNewcomer DeploymentKind = "newcomer" // one minion that asked for its highstate
)

// DeploymentStatus is where a deployment is.
//
//	queued -> running -> succeeded | partly | failed | stopped | timed-out
//	             \-> reverting -> reverted | failed
type DeploymentStatus string

// The statuses of a deployment.
const (
	Queued          DeploymentStatus = "queued"
	Running         DeploymentStatus = "running"
	Reverting       DeploymentStatus = "reverting"
	DeploySucceeded DeploymentStatus = "succeeded"
	DeployPartly    DeploymentStatus = "partly" // some minions failed or were away; the group's target is set
	DeployFailed    DeploymentStatus = "failed"
	Reverted        DeploymentStatus = "reverted" // failed, and the revision before serves again
	Stopped         DeploymentStatus = "stopped"
	TimedOut        DeploymentStatus = "timed-out"
)

// Ended reports whether nothing will happen any more.
func (s DeploymentStatus) Ended() bool {
	return s != Queued && s != Running && s != Reverting
}

// Phase is where one minion is inside a deployment.
//
//	waiting -> draining -> installing (-> passed) -> activating -> active
//	   \-> skipped             \-> failed <-----------/   (failed, then reverted or left out of its pool)
type Phase string

// The phases of a minion in a deployment. Active, Skipped, MinionFailed and MinionReverted are ends.
const (
	Waiting        Phase = "waiting"
	Draining       Phase = "draining"
	Installing     Phase = "installing"
	Passed         Phase = "passed" // blue/green: at the revision, waits for its side to be switched to
	Activating     Phase = "activating"
	Active         Phase = "active"  // at the revision, and in its pool if the group has one
	Skipped        Phase = "skipped" // nothing to do, or not there: Reason says
	MinionFailed   Phase = "failed"
	MinionReverted Phase = "reverted" // back at the revision before, and in its pool
)

// MinionProgress is one minion's part in a deployment.
type MinionProgress struct {
	Minion   MinionID      `json:"minion"`
	Batch    int           `json:"batch"` // from 0
	Stage    string        `json:"stage,omitempty"`
	Phase    Phase         `json:"phase"`
	Previous Digest        `json:"previous,omitempty"`
	Job      JobID         `json:"job,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Away     bool          `json:"away,omitempty"` // skipped because it was not connected: it gets the revision when it is back
	Events   []EventResult `json:"events,omitempty"`
	Updated  time.Time     `json:"updated"`
	Decision *Decision     `json:"decision,omitempty"` // about its failure
	Attempt  int           `json:"attempt,omitempty"`  // how often it was tried again
}

// Deployment is one revision going to one group.
type Deployment struct {
	ID       DeploymentID      `json:"id"`
	App      AppName           `json:"app"`
	Group    GroupName         `json:"group"`
	Kind     DeploymentKind    `json:"kind"`
	Ref      string            `json:"ref"`
	Revision *Revision         `json:"revision,omitempty"` // nil until it is resolved and built
	Previous Digest            `json:"previous,omitempty"` // the group's target before
	Status   DeploymentStatus  `json:"status"`
	Reason   string            `json:"reason,omitempty"` // of the status, one line
	By       string            `json:"by"`
	Created  time.Time         `json:"created"`
	Ended    time.Time         `json:"ended,omitzero"`
	Strategy Strategy          `json:"strategy"`
	Force    bool              `json:"force,omitempty"` // also minions that are already at the revision
	Minions  []*MinionProgress `json:"minions"`         // in the order of the plan

	Only       []MinionID   `json:"only,omitempty"`        // of a retry: nobody else is touched
	Retries    DeploymentID `json:"retries,omitempty"`     // the deployment that it is a retry of
	Pauses     []*Pause     `json:"pauses,omitempty"`      // in the order of their batches
	Stop       *Stop        `json:"stop,omitempty"`        // it is to end
	Side       Side         `json:"side,omitempty"`        // of a blue/green group: that it deploys to
	Switched   bool         `json:"switched,omitempty"`    // Side serves
	Passed     bool         `json:"passed,omitempty"`      // everything was judged: what is left is to write the end down
	BreakGlass string       `json:"break_glass,omitempty"` // why it was started inside a freeze, or against a lock
}

// Plan is what a deployment would do. It is pure data: made from a strategy, a roster and where each minion is.
type Plan struct {
	App      AppName      `json:"app"`
	Group    GroupName    `json:"group"`
	Ref      string       `json:"ref"`
	Origin   Origin       `json:"origin"`
	Revision *Revision    `json:"revision,omitempty"` // nil: it has to be built first
	Current  Digest       `json:"current,omitempty"`  // the group's target now
	Strategy Strategy     `json:"strategy"`
	Pool     string       `json:"pool,omitempty"` // "balancer/pool"
	Minions  []PlanMinion `json:"minions"`
	Pauses   []*Pause     `json:"pauses,omitempty"`
	Pending  *Diff        `json:"pending,omitempty"` // from the group's target to this; nil when it is not known
	Warnings []string     `json:"warnings,omitempty"`
	ID       string       `json:"id"` // names all of it that counts: the same plan has the same id
}

// PlanMinion is one minion's line of a plan.
type PlanMinion struct {
	Minion  MinionID `json:"minion"`
	Batch   int      `json:"batch"` // from 0; -1: skipped
	Current Digest   `json:"current,omitempty"`
	Stage   string   `json:"stage,omitempty"` // "canary", "zone eu-1a"; empty: the rest
	Skip    string   `json:"skip,omitempty"`  // why it is left out
	Away    bool     `json:"away,omitempty"`  // left out because it is not connected
	Member  string   `json:"member,omitempty"`
	Address string   `json:"address,omitempty"`
}

// Changes counts the minions that the plan would change.
func (p Plan) Changes() int {
	n := 0
	for _, m := range p.Minions {
		if m.Skip == "" {
			n++
		}
	}
	return n
}
