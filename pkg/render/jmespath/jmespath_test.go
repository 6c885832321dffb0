package jmespath_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/render/jmespath"
)

// TestQueriesFindWhatJMESPathFinds compares with what the reference in Python gave.
func TestQueriesFindWhatJMESPathFinds(t *testing.T) {
	text, err := os.ReadFile("testdata/jmespath.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Data  *data.Map
		Cases []struct {
			Expr  string
			OK    bool
			Value json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Cases {
		got, err := jmespath.Search(c.Expr, all.Data, func() {})
		if (err == nil) != c.OK {
			t.Errorf("%s: got %v, %v; want ok %v", c.Expr, got, err, c.OK)
			continue
		}
		want, err := data.FromJSON(c.Value)
		if err != nil {
			t.Fatal(err)
		}
		if c.OK && !data.Equal(got, want) {
			t.Errorf("%s: got %v, want %s", c.Expr, got, c.Value)
		}
	}
}
