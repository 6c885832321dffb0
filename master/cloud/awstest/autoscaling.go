package awstest

import (
	"maps"
	"slices"
	"time"
)

// The states of an instance that the fake knows; a warm pool's are Warmed:Pending:Wait and Warmed:Stopped.
const (
	PendingWait     = "Pending:Wait"
	InService       = "InService"
	TerminatingWait = "Terminating:Wait"
	Terminated      = "Terminated"
	WarmedWait      = "Warmed:Pending:Wait"
	WarmedStopped   = "Warmed:Stopped"
)

// The lifecycle hooks that every group of the fake has.
const (
	launchHook    = "brine-launching"
	terminateHook = "brine-terminating"
)

// Instance is one of an Auto Scaling group.
type Instance struct {
	ID, Group string

	fake  *AWS
	state string      // guarded by fake.mu
	timer *time.Timer // of the hook; guarded by fake.mu
	beats int         // guarded by fake.mu
	limit time.Duration
}

// Launch starts an instance in a state that waits for its lifecycle hook, or that does not wait. A hook that nobody
// completes within limit gives the instance up, as AWS does by default.
func (a *AWS) Launch(id, group, state string, limit time.Duration) *Instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := &Instance{ID: id, Group: group, fake: a, limit: limit}
	a.instances[id] = i
	i.become(state)
	return i
}

// Terminate lets an instance wait for its termination hook.
func (i *Instance) Terminate() {
	i.fake.mu.Lock()
	defer i.fake.mu.Unlock()
	i.become(TerminatingWait)
}

// State is where the instance stands now, and how often its hook was prolonged.
func (i *Instance) State() (state string, heartbeats int) {
	i.fake.mu.Lock()
	defer i.fake.mu.Unlock()
	return i.state, i.beats
}

func (i *Instance) waits() bool {
	return i.state == PendingWait || i.state == TerminatingWait || i.state == WarmedWait
}

func (i *Instance) become(state string) {
	if i.timer != nil {
		i.timer.Stop()
	}
	i.state = state
	if !i.waits() {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(i.limit, func() {
		i.fake.mu.Lock()
		defer i.fake.mu.Unlock()
		if i.timer == timer && i.waits() {
			i.complete("ABANDON")
		}
	})
	i.timer = timer
}

func (i *Instance) complete(result string) {
	switch {
	case i.state == TerminatingWait, result == "ABANDON":
		i.become(Terminated)
	case i.state == WarmedWait:
		i.become(WarmedStopped)
	default:
		i.become(InService)
	}
}

func (a *AWS) autoscaling() handlers {
	return handlers{
		"DescribeAutoScalingInstances":   a.describeInstances,
		"DescribeLifecycleHooks":         a.describeHooks,
		"CompleteLifecycleAction":        a.completeAction,
		"RecordLifecycleActionHeartbeat": a.recordHeartbeat,
	}
}

type xmlInstance struct {
	ID    string `xml:"InstanceId"`
	Group string `xml:"AutoScalingGroupName"`
	State string `xml:"LifecycleState"`
	Zone  string `xml:"AvailabilityZone"`
}

func (a *AWS) describeInstances(f form) (any, error) {
	ids := f.texts("InstanceIds")
	if len(ids) > 50 {
		return nil, invalid("at most 50 instance ids, not %d", len(ids))
	}
	var found []xmlInstance
	for _, id := range slices.Sorted(maps.Keys(a.instances)) {
		if i := a.instances[id]; i.state != Terminated && (len(ids) == 0 || slices.Contains(ids, id)) {
			found = append(found, xmlInstance{i.ID, i.Group, i.state, Region + "a"})
		}
	}
	found, next, err := page(a, f, found, "NextToken")
	return struct {
		Instances []xmlInstance `xml:"AutoScalingInstances>member"`
		Next      string        `xml:"NextToken,omitempty"`
	}{found, next}, err
}

type xmlHook struct {
	Name       string `xml:"LifecycleHookName"`
	Group      string `xml:"AutoScalingGroupName"`
	Transition string `xml:"LifecycleTransition"`
	Heartbeat  int    `xml:"HeartbeatTimeout"`
	Default    string `xml:"DefaultResult"`
}

func (a *AWS) describeHooks(f form) (any, error) {
	group := f.get("AutoScalingGroupName")
	return struct {
		Hooks []xmlHook `xml:"LifecycleHooks>member"`
	}{[]xmlHook{
		{launchHook, group, "autoscaling:EC2_INSTANCE_LAUNCHING", 3600, "ABANDON"},
		{terminateHook, group, "autoscaling:EC2_INSTANCE_TERMINATING", 3600, "ABANDON"},
	}}, nil
}

// waiting is the instance whose hook a call means.
func (a *AWS) waiting(f form) (*Instance, error) {
	i := a.instances[f.get("InstanceId")]
	hook := launchHook
	if i != nil && i.state == TerminatingWait {
		hook = terminateHook
	}
	if i == nil || !i.waits() || i.Group != f.get("AutoScalingGroupName") || hook != f.get("LifecycleHookName") {
		return nil, invalid("No active Lifecycle Action found with instance ID %s", f.get("InstanceId"))
	}
	return i, nil
}

func (a *AWS) completeAction(f form) (any, error) {
	i, err := a.waiting(f)
	if err != nil {
		return nil, err
	}
	result := f.get("LifecycleActionResult")
	if result != "CONTINUE" && result != "ABANDON" {
		return nil, invalid("LifecycleActionResult %q", result)
	}
	i.complete(result)
	return nil, nil
}

func (a *AWS) recordHeartbeat(f form) (any, error) {
	i, err := a.waiting(f)
	if err != nil {
		return nil, err
	}
	i.beats++
	i.become(i.state)
	return nil, nil
}
