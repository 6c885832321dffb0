// Package state is the contract between the state engine and the state families, a folder each below states.
package state

import (
	"context"
	"os/exec"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
)

// Verdict is the result of one state.
type Verdict int

// The verdicts. Pending is Salt's null: with test=True something would change.
const (
	False Verdict = iota
	True
	Pending
)

// Result is what came of one state.
type Result struct {
	Verdict  Verdict
	Comment  string    // one or more lines for people
	Changes  *data.Map // empty or nil when nothing changed, or would
	Warnings []string
	// Reason is one of Salt's classes (cases: "bad arguments", "creates exists", ...) where the family decides it;
	// empty lets the engine say "state failed" or "test mode".
	Reason string
}

// Call is one state to make true.
type Call struct {
	ID, SLS string
	Name    string // the name argument, which is the ID unless given
	// Args are all other arguments, without what the engine handles (requisites, onlyif, retry, order, ...). check_cmd is
	// the function's own affair when its Params name it, else the engine's.
	Args *data.Map
	Test bool // change nothing, say what would be
	Host *Host
	// Requires are the states that this one requires, as compiled: file.directory with clean keeps what they manage.
	Requires []Required
}

// Required is a state that another one requires.
type Required struct {
	State, Function, Name string
	Args                  *data.Map
}

// Host is what states know of their minion and may use.
type Host struct {
	*modules.Env
	// Render renders a template's text with the context of templates that states put on the host; name is for errors,
	// engine is "jinja" (the only one for now), extra are the state's own context and defaults.
	Render func(ctx context.Context, name, text, engine string, extra *data.Map) (string, error)
	// Command makes a command of a list of arguments with a clean environment; tests put their own in place.
	Command func(ctx context.Context, name string, args ...string) *exec.Cmd
	// Release brings an application group to its target revision on this host; nil without a master.
	Release func(ctx context.Context, app, group string, test bool) Result
}

// Function makes one kind of declaration true, and is called again and again: when nothing is to be done it changes
// nothing. It never panics on bad arguments: those give Reason "bad arguments".
type Function struct {
	Doc string
	// Params are the names of the arguments that it takes; others are errors. A last "*" takes any.
	Params []string
	Run    func(ctx context.Context, c *Call) Result
	// Watch runs when something that is watched, or listened to, has changed; nil for none (Salt's mod_watch).
	Watch func(ctx context.Context, c *Call) Result
}

// Family is one state module: its functions by their bare name ("managed").
type Family map[string]Function
