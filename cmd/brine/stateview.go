package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/stateoutput"
)

// stateReport reads what a function that applies states returned. Other values are none.
func stateReport(value json.RawMessage) (*stateoutput.Report, bool) {
	var keys struct {
		Retcode *int             `json:"retcode"`
		States  *json.RawMessage `json:"states"`
		Errors  *json.RawMessage `json:"errors"`
	}
	if !bytes.HasPrefix(value, []byte("{")) || json.Unmarshal(value, &keys) != nil || keys.Retcode == nil || keys.States == nil || keys.Errors == nil {
		return nil, false
	}
	report, err := stateoutput.Decode(value)
	return report, err == nil
}

// printStates shows a return state by state.
func (c *cli) printStates(r fleet.Return, report *stateoutput.Report) error {
	var out strings.Builder
	stateoutput.Print(&out, string(r.Minion), report, stateoutput.Mode(cmp.Or(c.stateOutput, string(stateoutput.Full))))
	if err := c.print(strings.TrimRight(out.String(), "\n")); err != nil {
		return err
	}
	if r.Outcome != fleet.Succeeded {
		return c.print(c.out.bad(string(r.Minion) + ": " + string(r.Outcome) + ": " + text.Line(r.Reason)))
	}
	return nil
}
