// Package progress turns the records of one deployment into what a person sees of it: plain lines as things happen, rows
// that are redrawn on a terminal, and a summary at the end. It is pure: records, states and times in, lines out.
package progress

import (
	"slices"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// State is what the records so far have told of one deployment. Make it with New; one goroutine at a time may use it.
type State struct {
	status  fleet.DeploymentStatus
	note    string
	began   time.Time
	minions []*minion // in the order in which they were first heard of
}

type minion struct {
	id     fleet.MinionID
	phase  fleet.Phase
	since  time.Time // of the phase
	reason string
	event  *fleet.EventResult // the newest
}

// New makes the state of a deployment that nothing has been told of yet.
func New(d fleet.Deployment) *State {
	return &State{status: d.Status, began: d.Created}
}

// Apply takes the next record in, and gives the plain lines that tell of it.
func (s *State) Apply(r fleet.Record) []Line {
	switch r.Kind {
	case fleet.DeploymentChanged:
		return s.changed(r)
	case fleet.DeploymentNote:
		s.note = r.Message
		return []Line{{Text: clock(r) + message(r.Message)}}
	case fleet.MinionChanged:
		return s.moved(r)
	case fleet.MinionEvent:
		return s.happened(r)
	case fleet.PoolChanged:
		if r.Minion == "" {
			return []Line{{Text: clock(r) + message(r.Message), Tone: Dim}}
		}
		return []Line{s.line(r, s.minion(r.Minion), message(r.Message), Dim)}
	default:
		return nil // returns are told by their events and phases; keys are no part of a deployment
	}
}

// Ended reports whether the records have told the end.
func (s *State) Ended() bool { return s.status.Ended() }

func (s *State) changed(r fleet.Record) []Line {
	s.status, s.note = r.Status, r.Message
	line := clock(r) + "deployment " + string(r.Status)
	if r.Message != "" {
		line += ": " + message(r.Message)
	}
	return []Line{{Text: line, Tone: toneOfStatus(r.Status)}}
}

// moved tells a reason once: phases carry the first one along.
func (s *State) moved(r fleet.Record) []Line {
	m := s.minion(r.Minion)
	what := ""
	if r.Message != m.reason {
		what = message(r.Message)
	}
	m.phase, m.reason, m.since, m.event = r.Phase, r.Message, r.Time, nil
	return []Line{s.line(r, m, what, toneOf(m.phase))}
}

func (s *State) happened(r fleet.Record) []Line {
	if r.Event == nil {
		return nil
	}
	m := s.minion(r.Minion)
	m.event = r.Event
	tone := Plain
	switch r.Event.Outcome {
	case fleet.EventRunning:
		return nil // its end is the line; a terminal shows it while it runs
	case fleet.EventFailed:
		tone = Bad
	}
	return []Line{s.line(r, m, Event(*r.Event), tone)}
}

func (s *State) minion(id fleet.MinionID) *minion {
	if i := slices.IndexFunc(s.minions, func(m *minion) bool { return m.id == id }); i >= 0 {
		return s.minions[i]
	}
	m := &minion{id: id, phase: fleet.Waiting}
	s.minions = append(s.minions, m)
	return m
}
