package fleet

import "time"

// LifecycleEvent is one step of a deployment on one minion, in AWS CodeDeploy's words.
type LifecycleEvent string

// The lifecycle, in order. BlockTraffic and AllowTraffic are the master's; DownloadBundle and Install the minion's own;
// the others run the scripts of the revision and of its group.
const (
	BeforeBlockTraffic LifecycleEvent = "BeforeBlockTraffic"
	BlockTraffic       LifecycleEvent = "BlockTraffic"
	AfterBlockTraffic  LifecycleEvent = "AfterBlockTraffic"
	ApplicationStop    LifecycleEvent = "ApplicationStop"
	DownloadBundle     LifecycleEvent = "DownloadBundle"
	BeforeInstall      LifecycleEvent = "BeforeInstall"
	Install            LifecycleEvent = "Install"
	AfterInstall       LifecycleEvent = "AfterInstall"
	ApplicationStart   LifecycleEvent = "ApplicationStart"
	ValidateService    LifecycleEvent = "ValidateService"
	BeforeAllowTraffic LifecycleEvent = "BeforeAllowTraffic"
	AllowTraffic       LifecycleEvent = "AllowTraffic"
	AfterAllowTraffic  LifecycleEvent = "AfterAllowTraffic"
)

// Lifecycle lists all events in the order in which they happen.
func Lifecycle() []LifecycleEvent {
	return []LifecycleEvent{
		BeforeBlockTraffic, BlockTraffic, AfterBlockTraffic, ApplicationStop, DownloadBundle, BeforeInstall, Install,
		AfterInstall, ApplicationStart, ValidateService, BeforeAllowTraffic, AllowTraffic, AfterAllowTraffic,
	}
}

// EventOutcome says how one lifecycle event ended on one minion.
type EventOutcome string

// The outcomes of an event.
const (
	EventRunning   EventOutcome = "running"
	EventSucceeded EventOutcome = "succeeded"
	EventFailed    EventOutcome = "failed"
)

// EventResult is what a minion tells of one lifecycle event, or of one of its scripts. An event without scripts that
// does nothing leaves no result.
type EventResult struct {
	Event    LifecycleEvent `json:"event"`
	Script   string         `json:"script,omitempty"` // relative to the release; empty for the event's own work
	Outcome  EventOutcome   `json:"outcome"`
	Revert   bool           `json:"revert,omitempty"` // it ran to bring the previous release back
	Started  time.Time      `json:"started"`
	Ended    time.Time      `json:"ended,omitzero"`
	ExitCode int            `json:"exit_code"`
	Reason   string         `json:"reason,omitempty"` // why it failed, one line
	Tail     string         `json:"tail,omitempty"`   // the end of its output, whole lines, at most TailBytes
}

// TailBytes bounds the output that an EventResult carries. CodeDeploy's is 2048; its users found that too short.
const TailBytes = 8 << 10
