package fleet

import (
	"encoding/json"
	"time"
)

// The master's API, which the CLI, CI and the dashboard use: JSON over HTTP, on a Unix socket. Who calls is the socket's
// peer. A request that fails is answered with a Problem. Streams are JSON lines; with follow=true they stay open until
// what they tell of has ended.
//
//	POST /v1/deployments                         DeployRequest   -> Deployment
//	POST /v1/rollbacks                           DeployRequest   -> Deployment   (Ref: a digest or ref to go back to; empty: the one before)
//	POST /v1/deployments/{id}/stop               StopRequest     -> Deployment
//	POST /v1/deployments/{id}/answer             AnswerRequest   -> Deployment
//	POST /v1/plan                                DeployRequest   -> Plan
//	GET  /v1/locks                                               -> []Lock
//	POST /v1/locks                               LockRequest     -> Lock
//	POST /v1/unlock?app=&group=&force=                           -> Lock         (force: also somebody else's)
//	GET  /v1/deployments?app=&group=&limit=                      -> []Deployment (newest first)
//	GET  /v1/deployments/{id}                                    -> Deployment
//	POST /v1/tests                               DeployRequest   -> RunTicket    (what the deployment would do on each minion)
//	GET  /v1/deployments/{id}/records?follow=&after=             -> stream of Record
//	GET  /v1/deployments/{id}/log?follow=                        -> stream of LogLine: what hook scripts say, from now on
//	GET  /v1/revisions?app=                                      -> []Revision   (newest first)
//	POST /v1/revisions/collect?app=&keep=&dry=                   -> Collected    (removes those that nobody needs)
//	GET  /v1/diff?app=&from=&to=                                 -> Diff         (digests or refs)
//	GET  /v1/status                                              -> Status
//	GET  /v1/minions?target=                                     -> []Minion     (all accepted ones when target is empty; with Vitals)
//	POST /v1/minions/{id}/drain                                  -> Drained
//	POST /v1/minions/{id}/undrain                                -> Drained      (Pools: the groups that it is brought up in)
//	POST /v1/jobs                                RunRequest      -> RunTicket
//	GET  /v1/jobs?limit=                                         -> []JobSummary (newest first)
//	GET  /v1/jobs/{id}                                           -> JobStatus
//	GET  /v1/jobs/{id}/returns?follow=                           -> stream of Return (last parts; ends when all are in or the deadline passed)
//	POST /v1/jobs/{id}/kill?force=                               -> Killing      (force: also a job of a deployment)
//	GET  /v1/keys                                                -> []MinionKey
//	POST /v1/keys/{id}/{accept|reject|revoke}?fingerprint=       -> MinionKey    (fingerprint may be empty)
//	POST /v1/tokens                              TokenRequest    -> Token
//	GET  /v1/doctor                                              -> []Check
//	GET  /v1/master                                              -> MasterInfo

// DeployRequest asks for a deployment, a plan or a rollback.
type DeployRequest struct {
	App   AppName   `json:"app"`
	Group GroupName `json:"group"`
	Ref   string    `json:"ref,omitempty"`
	Force bool      `json:"force,omitempty"` // also minions that are already at the revision

	Strategy   *Override    `json:"strategy,omitempty"`    // changes for this deployment only
	Plan       string       `json:"plan,omitempty"`        // id of the plan that was agreed to: refused when it would be another now
	Retry      DeploymentID `json:"retry,omitempty"`       // the same revision, to the minions that this one failed on or missed
	BreakGlass string       `json:"break_glass,omitempty"` // why a freeze or a lock is passed over
}

// StopRequest stops a deployment: nothing new is begun.
type StopRequest struct {
	Reason string `json:"reason,omitempty"`
	Now    bool   `json:"now,omitempty"`    // kill the jobs that run, too
	Revert bool   `json:"revert,omitempty"` // bring the revision before back
}

// AnswerRequest is a person's word to the pause that a deployment is in.
type AnswerRequest struct {
	Approved bool   `json:"approved"`
	Reason   string `json:"reason,omitempty"`
}

// Diff is what lies between two revisions.
type Diff struct {
	From    Origin   `json:"from,omitzero"`
	To      Origin   `json:"to,omitzero"`
	Added   []Origin `json:"added,omitempty"`   // commits that To has and From has not, newest first, a hundred at most
	Removed []Origin `json:"removed,omitempty"` // commits that From has and To has not
	Files   []string `json:"files,omitempty"`   // that differ
}

// Collected tells which revisions were removed.
type Collected struct {
	Removed []Revision `json:"removed"`
	Bytes   int64      `json:"bytes"` // that they took in the store
	Kept    int        `json:"kept"`
	Dry     bool       `json:"dry,omitempty"` // nothing was removed, this is what would be
}

// LockRequest locks a group, or an application.
type LockRequest struct {
	App    AppName   `json:"app"`
	Group  GroupName `json:"group,omitempty"`
	Reason string    `json:"reason"`
	Lease  Duration  `json:"lease,omitempty"` // none: until it is unlocked
}

// Problem is the answer to a request that failed.
type Problem struct {
	Message string `json:"message"`        // one clear line (a user's file error may add the line itself)
	Hint    string `json:"hint,omitempty"` // what to do next
	Exit    int    `json:"exit"`           // exit code of the command that asked
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Message }

// Status is the fleet at a glance.
type Status struct {
	Minions   int           `json:"minions"`
	Connected int           `json:"connected"`
	Pending   int           `json:"pending"` // keys that wait for an operator
	Groups    []GroupStatus `json:"groups"`
}

// GroupStatus is one group at a glance.
type GroupStatus struct {
	App       AppName       `json:"app"`
	Group     GroupName     `json:"group"`
	Target    *Revision     `json:"target,omitempty"`  // what newcomers get
	Running   *Deployment   `json:"running,omitempty"` // the deployment that holds the group now
	Last      *Deployment   `json:"last,omitempty"`    // the last one that ended
	Minions   []GroupMinion `json:"minions"`
	PoolError string        `json:"pool_error,omitempty"` // why the balancer could not be asked
}

// GroupMinion is where one minion of a group stands.
type GroupMinion struct {
	Minion    MinionID `json:"minion"`
	Connected bool     `json:"connected"`
	Drained   bool     `json:"drained"`
	Live      Digest   `json:"live,omitempty"`
	Pool      string   `json:"pool,omitempty"` // the member's state in the balancer: up, down, draining, out, or unknown; empty without a pool
}

// Drained tells what draining a minion did.
type Drained struct {
	Minion MinionID `json:"minion"`
	Pools  []string `json:"pools"` // "balancer/pool" that it was taken out of
}

// RunRequest asks for one function on all minions of a target.
type RunRequest struct {
	Target   string          `json:"target"`
	Function string          `json:"function"`
	Args     json.RawMessage `json:"args,omitempty"` // a Call
	Timeout  Duration        `json:"timeout,omitempty"`
}

// RunTicket names a published job and those it went to.
type RunTicket struct {
	Job      JobID      `json:"job"`
	Minions  []MinionID `json:"minions"`
	Away     []AwayPeer `json:"away,omitempty"` // not connected now; they get the job if they are back before the deadline
	Deadline time.Time  `json:"deadline"`
}

// AwayPeer is a minion that is not connected.
type AwayPeer struct {
	Minion MinionID  `json:"minion"`
	Since  time.Time `json:"since,omitzero"` // zero: never connected
}

// JobSummary is one job at a glance.
type JobSummary struct {
	ID         JobID           `json:"id"`
	Function   string          `json:"function"`
	Args       json.RawMessage `json:"args,omitempty"` // a Call; none of a deployment's job
	By         string          `json:"by"`
	Issued     time.Time       `json:"issued"`
	Deadline   time.Time       `json:"deadline"`
	Deployment DeploymentID    `json:"deployment,omitempty"` // what it was made for; App and Group too
	App        AppName         `json:"app,omitempty"`
	Group      GroupName       `json:"group,omitempty"`
	Minions    int             `json:"minions"`
	Outcomes   map[Outcome]int `json:"outcomes"`  // of those that have ended
	Waiting    int             `json:"waiting"`   // the others
	Delivered  int             `json:"delivered"` // of the waiting: that have the job
}

// JobStatus is one job and how it stands with each minion.
type JobStatus struct {
	JobSummary
	PerMinion []JobMinion `json:"per_minion"` // by id
}

// JobState is where a minion's copy of a job is.
//
//	queued -> sent -> delivered -> ended
type JobState string

// The states of a job on a minion. Every one may be followed by ended: a job can expire, or be killed.
const (
	JobQueued    JobState = "queued"    // not sent: the minion is away
	JobSent      JobState = "sent"      // not acknowledged; when the minion is away, nobody knows whether it has it
	JobDelivered JobState = "delivered" // the minion has written it down: it waits there, or runs
	JobEnded     JobState = "ended"     // Return says how
)

// JobMinion is how a job stands with one minion.
type JobMinion struct {
	Minion    MinionID  `json:"minion"`
	State     JobState  `json:"state"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`     // of the last change of Connected
	Delivered time.Time `json:"delivered,omitzero"` // when the minion had it
	Killer    string    `json:"killer,omitempty"`   // who wants it stopped
	Return    *Return   `json:"return,omitempty"`   // the last part
}

// Killing tells what killing a job did.
type Killing struct {
	Job       JobID      `json:"job"`
	Withdrawn []MinionID `json:"withdrawn"`      // they never had it, and never will
	Told      []MinionID `json:"told"`           // they stop it and say so in their return
	Away      []AwayPeer `json:"away,omitempty"` // they have it, or may; they are told when they are back
	Ended     []MinionID `json:"ended"`          // it had ended there
}

// TokenRequest asks for an enrolment token.
type TokenRequest struct {
	TTL  Duration `json:"ttl"`
	Uses int      `json:"uses"` // 1 when zero
}

// Token lets minions enrol without an operator. Its text is shown once and stored as a digest.
type Token struct {
	Text    string    `json:"token"`
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses"`
}

// MasterInfo is what a minion has to be told of its master.
type MasterInfo struct {
	Version     string      `json:"version"`
	Bus         string      `json:"bus"`        // address that the bus listens on
	MasterKey   string      `json:"master_key"` // for the minion's configuration: both public keys in one line
	Fingerprint Fingerprint `json:"fingerprint"`
}

// Check is one line of brine doctor.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was found
	Mend   string `json:"mend,omitempty"` // what to do when it is not OK
}
