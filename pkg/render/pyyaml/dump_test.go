package pyyaml_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/render/pyyaml"
)

// TestItWritesAsPyYAML compares with what PyYAML 6 wrote of random values, to the character.
func TestItWritesAsPyYAML(t *testing.T) {
	text, err := os.ReadFile("testdata/pyyaml.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Value                             json.RawMessage
		Flow, Block, Double, Single, Text string
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		v, err := data.FromJSON(c.Value)
		if err != nil {
			t.Fatal(err)
		}
		for want, got := range map[string]string{
			c.Flow: pyyaml.Dump(v, pyyaml.Style{Flow: true}), c.Block: pyyaml.Dump(v, pyyaml.Style{}),
			c.Double: pyyaml.Double(c.Text), c.Single: pyyaml.Single(c.Text),
		} {
			if got != want {
				t.Errorf("%s:\ngot  %q\nwant %q", c.Value, got, want)
			}
		}
	}
}

func TestKeysCanStayInTheirOrder(t *testing.T) {
	got := pyyaml.Dump(data.NewMap("b", int64(1), "a", []any{}), pyyaml.Style{Unsorted: true})
	if got != "b: 1\na: []\n" {
		t.Errorf("got %q", got)
	}
}
