// Package stateoutput is what came of a function as people and programs read it: one JSON form, and Salt's familiar text.
package stateoutput

import (
	"encoding/json"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
)

// Report is what came of one function on one minion.
type Report struct {
	OK      bool    `json:"ok"`
	Retcode int     `json:"retcode"` // Salt's: 0 done, 1 could not compile, 2 a state failed or there was none, 5 pillar failed
	States  []State `json:"states"`
	Errors  []Error `json:"errors"`
	Return  any     `json:"return"` // of functions that apply no states; a value of package data
}

// State is what came of one state.
type State struct {
	Order    int       `json:"order"` // from 0, as they ran
	ID       string    `json:"id"`
	SLS      *string   `json:"sls"`
	State    string    `json:"state"`
	Fun      string    `json:"fun"` // without the state: "managed"
	Name     string    `json:"name"`
	Result   *bool     `json:"result"` // null: with test, it would change something
	Changed  bool      `json:"changed"`
	Changes  *data.Map `json:"changes"`
	Comment  string    `json:"comment"`
	Reason   *string   `json:"reason"`
	Start    time.Time `json:"start"`
	Duration float64   `json:"duration_ms"`
	Warnings []string  `json:"warnings,omitempty"`
}

// BadCall is the class of an error that is about what was asked for, not about files.
const BadCall = "bad call"

// Error is why nothing was applied.
type Error struct {
	Class   string `json:"class"`
	File    string `json:"file"` // the SLS; "pillar:web" for pillar
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Snippet string `json:"snippet"`
}

// Decode reads a report's JSON; what it returns is of package data.
func Decode(text []byte) (*Report, error) {
	var r struct {
		Report
		Return json.RawMessage `json:"return"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	if len(r.Return) > 0 {
		v, err := data.FromJSON(r.Return)
		if err != nil {
			return nil, err
		}
		r.Report.Return = v
	}
	return &r.Report, nil
}
