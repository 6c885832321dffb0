package local

import (
	"errors"
	"fmt"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Phase says where a deployment failed.
type Phase string

// The phases, in order.
const (
	Validate Phase = "validate" // the options
	Download Phase = "download" // the bundle
	Parse    Phase = "parse"    // the appspec, and what it needs
	Install  Phase = "install"  // files and permissions
	Hook     Phase = "hook"     // a script
)

// Code is the agent's number of an outcome.
type Code int

// The codes.
const (
	Success             Code = 0
	ScriptMissing       Code = 1
	ScriptNotExecutable Code = 2
	ScriptTimedOut      Code = 3
	ScriptFailed        Code = 4
	UnknownError        Code = 5
	OutputsLeftOpen     Code = 6
)

// Result is the outcome of a deployment, for programs.
type Result struct {
	OK         bool                 `json:"ok"`
	Phase      Phase                `json:"phase"` // empty when all went well
	Event      fleet.LifecycleEvent `json:"event"`
	Script     string               `json:"script"` // as the appspec names it
	Code       Code                 `json:"error_code"`
	Message    string               `json:"message"`
	LogTail    string               `json:"log_tail"` // of scripts.log, whole lines, at most 2048 characters
	Hooks      []string             `json:"hooks"`    // Event:location of every script that was started, in order
	Deployment string               `json:"deployment"`
	LogFile    string               `json:"log_file"`
}

// failure is an error that knows its place in a Result.
type failure struct {
	phase  Phase
	event  fleet.LifecycleEvent
	script string
	code   Code
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// in gives an error its phase; nil stays nil.
func in(phase Phase, err error) error {
	if err == nil {
		return nil
	}
	return &failure{phase: phase, code: UnknownError, err: err}
}

// said is an error in the words of CodeDeploy's agent, which people search for: capitals and all.
func said(format string, args ...any) error { return fmt.Errorf(format, args...) }

func (r *Result) fail(err error) {
	f := &failure{phase: Install, code: UnknownError, err: err}
	_ = errors.As(err, &f)
	r.OK, r.Phase, r.Event, r.Script, r.Code, r.Message = false, f.phase, f.event, f.script, f.code, err.Error()
}
