package stateoutput_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/stateoutput"
)

// sample has a state of each kind.
func sample() *stateoutput.Report {
	yes, no := true, false
	reason, start := "state failed", time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC)
	sls := "web"
	return &stateoutput.Report{Retcode: 2, Errors: []stateoutput.Error{}, States: []stateoutput.State{
		{ID: "conf", SLS: &sls, State: "file", Fun: "managed", Name: "/etc/x", Result: &yes, Changed: true, Changes: data.NewMap("diff", "--- a\n+++ b\n", "list", []any{"one", data.NewMap("two", int64(2))}), Comment: "File /etc/x updated", Start: start, Duration: 12.5},
		{Order: 1, ID: "still", State: "test", Fun: "nop", Name: "still", Result: &yes, Changes: &data.Map{}, Comment: "Success!", Start: start, Duration: 0.01},
		{Order: 2, ID: "would", State: "test", Fun: "x", Name: "would", Changed: true, Changes: data.NewMap("a", nil), Comment: "two\nlines", Start: start, Duration: 1},
		{Order: 3, ID: "bad", State: "cmd", Fun: "run", Name: "false", Result: &no, Changes: &data.Map{}, Comment: "no", Reason: &reason, Warnings: []string{"beware"}, Start: start, Duration: 1500},
	}}
}

func TestReportsLookAsTheyDoInSalt(t *testing.T) {
	for _, mode := range stateoutput.Modes() {
		var b strings.Builder
		stateoutput.Print(&b, "m1", sample(), mode)
		file := filepath.Join("testdata", string(mode)+".txt")
		want, err := os.ReadFile(file)
		if err != nil || b.String() != string(want) {
			t.Errorf("%s: %v; got\n%s", file, err, b.String())
		}
	}
}

func TestErrorsAreShownWithTheirPlaces(t *testing.T) {
	var b strings.Builder
	stateoutput.Print(&b, "m1", &stateoutput.Report{Errors: []stateoutput.Error{{Class: "bad data", File: "web", Path: "web.sls", Line: 3, Column: 5, Message: "no", Snippet: "- x"}}}, stateoutput.Full)
	if want := "m1:\n    Data failed to compile:\n----------\n    web.sls:3:5: no\n        - x\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

func TestAValueIsShownNested(t *testing.T) {
	var b strings.Builder
	stateoutput.Print(&b, "m1", &stateoutput.Report{Return: data.NewMap("a", []any{int64(1), "x"}, "b", data.NewMap("c", true))}, stateoutput.Full)
	want := "m1:\n    ----------\n    a:\n        - 1\n        - x\n    b:\n        ----------\n        c:\n            True\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

func TestTheJSONComesBack(t *testing.T) {
	before := sample()
	before.Return = data.NewMap("n", int64(1))
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := stateoutput.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(after); string(again) != string(text) {
		t.Errorf("got  %s\nwant %s", again, text)
	}
}
