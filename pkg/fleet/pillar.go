package fleet

import "encoding/json"

// PillarReport is a minion's pillar as the master compiles it: GET /v1/minions/{id}/pillar. Its secrets are plain.
type PillarReport struct {
	Minion MinionID        `json:"minion"`
	Pillar json.RawMessage `json:"pillar"`           // what could be compiled, when Errors is not empty: the minion gets none then
	Errors []PillarMistake `json:"errors,omitempty"` // all that is wrong
}

// PillarMistake is one thing that is wrong with a minion's pillar.
type PillarMistake struct {
	File    string `json:"file"`           // "pillar:" and the SLS
	Path    string `json:"path,omitempty"` // of its file
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Text    string `json:"text"` // all of it, for people
}
