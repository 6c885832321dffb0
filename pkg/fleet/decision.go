package fleet

import "time"

// Ask is the value of Strategy.OnFailure that holds a rollout up at each minion that fails, for a person to decide.
const Ask = "ask"

// Choice is what a person decides about a minion that failed.
type Choice string

// The choices. After Ignore and Exclude the minion stays failed, out of its pool, and does not stop the rollout; one that
// is excluded is not a failure of the deployment either, and a revert leaves it alone.
const (
	Retry   Choice = "retry"
	Ignore  Choice = "ignore"
	Exclude Choice = "exclude"
	Abort   Choice = "abort"
)

// Choices lists them.
func Choices() []Choice { return []Choice{Retry, Ignore, Exclude, Abort} }

// Decision is a person's choice about a minion that failed.
type Decision struct {
	Choice Choice    `json:"choice"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// DecideRequest is a person's decision about a minion that failed.
type DecideRequest struct {
	Minion MinionID `json:"minion"`
	Choice Choice   `json:"choice"`
	Reason string   `json:"reason,omitempty"`
}
