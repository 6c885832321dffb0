package fleet

import (
	"encoding/json"
	"time"
)

// Job is an order to one minion. Its encoded form is signed by the master.
type Job struct {
	ID       JobID           `json:"id"`
	Minion   MinionID        `json:"minion"`
	Function string          `json:"function"` // "test.ping", "cmd.run", "deploy.release", ...
	Args     json.RawMessage `json:"args,omitempty"`
	By       string          `json:"by"`
	Issued   time.Time       `json:"issued"`
	Deadline time.Time       `json:"deadline"` // not started after this instant
	Trace    string          `json:"trace,omitempty"`
}

// Call is the arguments of every function that people run (brine run): by place and by name, as Salt's are. A job's Args
// are its encoded form, except those of deploy.release, which are a ReleaseOrder. Values are what JSON has: text,
// numbers, bools, null, lists and maps.
type Call struct {
	Args   []any          `json:"args,omitempty"`
	Kwargs map[string]any `json:"kwargs,omitempty"`
}

// Outcome says how a job ended on its minion.
type Outcome string

// The outcomes of a job. Refused and expired jobs never ran; interrupted ones ran in part and are never run again by
// themselves. A job ends with one outcome for each of its minions. Expired is the master's word, and so is killed for a
// minion that never got the job; the rest is the minion's own.
const (
	Succeeded   Outcome = "succeeded"
	Failed      Outcome = "failed"
	Refused     Outcome = "refused"     // signature, target, deadline or number was wrong, or the function is unknown
	Interrupted Outcome = "interrupted" // the minion died inside the job
	Killed      Outcome = "killed"      // a person stopped it, or withdrew it before it ran: Reason says who, and which
	Expired     Outcome = "expired"     // its deadline passed before the minion had it
)

// Return is a minion's answer to a job. Parts that are not Last tell of progress: they carry Event only.
type Return struct {
	Job     JobID           `json:"job"`
	Minion  MinionID        `json:"minion"`
	Part    int             `json:"part"` // from 0, without gaps; -1 when the master says it for the minion
	Last    bool            `json:"last"`
	Time    time.Time       `json:"time"`
	Event   *EventResult    `json:"event,omitempty"`
	Outcome Outcome         `json:"outcome,omitempty"` // of the Last part
	Reason  string          `json:"reason,omitempty"`  // one line; empty when it succeeded
	Value   json.RawMessage `json:"value,omitempty"`   // what the function gave; deploy.release gives a ReleaseResult
}

// ReleaseOrder is the argument of deploy.release: all that a minion needs to make one group's revision live.
type ReleaseOrder struct {
	Deployment DeploymentID      `json:"deployment"`
	App        AppName           `json:"app"`
	Group      GroupName         `json:"group"`
	Revision   Revision          `json:"revision"`
	URL        string            `json:"url"`      // of the encrypted archive; an empty host means the master's own
	Identity   string            `json:"identity"` // age identity that opens the archive: secret
	Layout     string            `json:"layout"`
	Root       string            `json:"root"`
	Shared     []string          `json:"shared,omitempty"`
	Keep       int               `json:"keep"`
	Hooks      string            `json:"hooks,omitempty"`
	Copy       *CopyOptions      `json:"copy,omitempty"`
	Exists     string            `json:"file_exists_behavior,omitempty"` // of layout appspec; the appspec's own wins
	RunAs      string            `json:"runas,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Secrets    []string          `json:"secrets,omitempty"` // names in Env
	Timeout    Duration          `json:"timeout"`           // of the whole job
	Force      bool              `json:"force,omitempty"`   // install afresh also when it is live or kept already
	Test       bool              `json:"test,omitempty"`    // touch nothing: the result's Changes say what would be done
}

// ReleaseResult is what deploy.release gives, whatever the outcome.
type ReleaseResult struct {
	Live     Digest        `json:"live,omitempty"`     // the revision that `current` points at now
	Previous Digest        `json:"previous,omitempty"` // the one before the job
	Reverted bool          `json:"reverted,omitempty"` // Previous was switched back and started again
	Serving  bool          `json:"serving"`            // Live is whole and its start hooks succeeded: it may be put into its pools
	Skipped  string        `json:"skipped,omitempty"`  // why nothing was done, for example "already at this revision"
	Events   []EventResult `json:"events"`
	Changes  []string      `json:"changes,omitempty"` // of an order with Test: a line for each, in order; at most MaxChanges
}

// MaxChanges bounds what a ReleaseResult lists; one more line says how many there are beyond.
const MaxChanges = 1000
