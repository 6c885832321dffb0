// Package run calls the states that compile has put in order, and decides by their requisites which of them run: the same
// words, order and results as Salt 3006.
package run

import (
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/state"
)

// The reasons of results, in the words that Salt's recorded answers are sorted by. A state that did what it was to do has
// none.
const (
	StateFailed    = "state failed"
	TestMode       = "test mode"
	ReqFailed      = "requisite failed"
	ReqMissing     = "requisite missing"
	ReqRecursive   = "requisite recursive"
	OnchangesUnmet = "onchanges unmet"
	OnfailUnmet    = "onfail unmet"
	PrereqUnmet    = "prereq unmet"
	OnlyifFalse    = "onlyif false"
	UnlessTrue     = "unless true"
	CreatesExists  = "creates exists"
	CheckCmdFailed = "check_cmd failed"
	NoSuchFunction = "function unavailable"
	BadArguments   = "bad arguments"
	Exception      = "exception"
)

// Result is what came of one state.
type Result struct {
	state.Result
	ID, SLS, State, Fun, Name string

	Start    time.Time
	Duration time.Duration

	number    int  // of the run, which orders the results
	ran       bool // it was not skipped by onfail or onchanges: Salt's __state_ran__
	skipWatch bool
	done      chan struct{} // closed when a parallel state has come to its end; nil for others
}

// Changed reports whether the state changed something, or would have.
func (r *Result) Changed() bool { return r.Changes.Len() > 0 }

// Tag is what tells a state from all others of its run.
type Tag struct{ State, ID, Name, Fun string }

func tagOf(c *compile.Chunk) Tag { return Tag{c.State, c.ID, c.Name, c.Fun} }

func (r *Result) tag() Tag { return Tag{r.State, r.ID, r.Name, r.Fun} }

// Data gives the result in Salt's form.
func (r *Result) Data() *data.Map {
	changes := r.Changes
	if changes == nil {
		changes = &data.Map{}
	}
	return data.NewMap(
		"__id__", r.ID, "__sls__", orNil(r.SLS), "__run_num__", int64(r.number), "name", r.Name, "result", Value(r.Verdict), "changes", changes,
		"comment", r.Comment, "start_time", r.Start.Format("15:04:05.000000"), "duration", float64(r.Duration.Microseconds())/1000,
	)
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Value gives a verdict as Salt does: true, false or null.
func Value(v state.Verdict) any {
	switch v {
	case state.True:
		return true
	case state.Pending:
		return nil
	}
	return false
}
