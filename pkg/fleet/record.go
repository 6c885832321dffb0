package fleet

import "time"

// Kind says what a Record tells.
type Kind string

// The kinds of records.
const (
	DeploymentChanged Kind = "deployment" // Status (and Reason) of a deployment
	DeploymentNote    Kind = "note"       // a line about a deployment: what it is doing now; build output
	MinionChanged     Kind = "minion"     // Phase (and Reason) of a minion in a deployment
	MinionEvent       Kind = "event"      // Event: a lifecycle event of a minion
	JobReturned       Kind = "return"     // Return: the last part of a job's return
	KeyChanged        Kind = "key"        // Key: a key got into another state; without: a token was made, an id was asked for in vain
	PoolChanged       Kind = "pool"       // a member went into or out of a pool
)

// LogLine is one line that a script says, while somebody watches. Lines are no records: they come from the minion's own log
// by a way that loses what it cannot carry in time, and are kept nowhere else.
type LogLine struct {
	Time   time.Time `json:"time"`
	Minion MinionID  `json:"minion"`
	Job    JobID     `json:"job"`
	Script string    `json:"script"` // its number in the job and its event: 03-AfterInstall
	Text   string    `json:"text"`   // secrets are redacted; anything else may be in it
}

// Record is one line of the journal's log: what happened, when, by whom. Returners get every record, in order; brine
// watch shows those of one deployment. Fields that do not apply are empty.
type Record struct {
	Seq        uint64           `json:"seq"` // from 1, without gaps
	Time       time.Time        `json:"time"`
	Kind       Kind             `json:"kind"`
	By         string           `json:"by,omitempty"`
	App        AppName          `json:"app,omitempty"`
	Group      GroupName        `json:"group,omitempty"`
	Deployment DeploymentID     `json:"deployment,omitempty"`
	Minion     MinionID         `json:"minion,omitempty"`
	Job        JobID            `json:"job,omitempty"`
	Status     DeploymentStatus `json:"status,omitempty"`
	Phase      Phase            `json:"phase,omitempty"`
	Key        KeyState         `json:"key,omitempty"` // that a KeyChanged tells of
	Event      *EventResult     `json:"event,omitempty"`
	Return     *Return          `json:"return,omitempty"`
	Message    string           `json:"message,omitempty"` // one line for people, or one line of output
}
