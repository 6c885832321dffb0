package caller

import (
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/stateoutput"
	"github.com/brine-deploy/brine/states"
	"github.com/brine-deploy/brine/states/run"
	"github.com/brine-deploy/brine/states/state"
)

// Report gives an answer as people and programs read it.
func Report(a *states.Answer) *stateoutput.Report {
	r := &stateoutput.Report{OK: a.OK(), Retcode: a.Code, Return: a.Return, Errors: []stateoutput.Error{}}
	if a.Applied {
		r.States = make([]stateoutput.State, len(a.States))
	}
	for i, s := range a.States {
		r.States[i] = reportState(i, s)
	}
	for _, e := range a.Errors {
		r.Errors = append(r.Errors, stateoutput.Error{
			Class: string(e.Class), File: e.File, Path: e.Path, Line: e.Line, Column: e.Column, Message: e.Message, Snippet: e.Snippet,
		})
	}
	return r
}

func reportState(order int, s *run.Result) stateoutput.State {
	out := stateoutput.State{
		Order: order, ID: s.ID, SLS: text(s.SLS), State: s.State, Fun: s.Fun, Name: s.Name, Changed: s.Changed(), Changes: s.Changes,
		Comment: s.Comment, Reason: text(s.Reason), Start: s.Start, Duration: float64(s.Duration.Microseconds()) / 1000, Warnings: s.Warnings,
	}
	if out.Changes == nil {
		out.Changes = &data.Map{}
	}
	if s.Verdict != state.Pending {
		good := s.Verdict == state.True
		out.Result = &good
	}
	return out
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
