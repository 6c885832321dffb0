package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTargetAnswersAsSaltDoes runs brine target over all recorded cases; those that brine answers otherwise are named in
// docs/salt-targets.md.
func TestTargetAnswersAsSaltDoes(t *testing.T) {
	const fleet = "../../pkg/target/testdata/cases.json"
	content, err := os.ReadFile(fleet)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Cases []struct {
			N        int
			Type     string
			Expr     any
			Expected []string
			Invalid  bool
		}
	}
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	otherwise := []int{241, 304}
	for _, c := range all.Cases {
		expr, isText := c.Expr.(string)
		if !isText {
			list, err := json.Marshal(c.Expr)
			if err != nil {
				t.Fatal(err)
			}
			expr = string(list)
		}
		var stdout, stderr bytes.Buffer
		flag := "--" + strings.ReplaceAll(c.Type, "_", "-")
		code := run(t.Context(), []string{"target", flag, "--fleet", fleet, "-o", "json", "--", expr}, nil, &stdout, &stderr)
		var got struct {
			OK      bool
			Minions []string
			Error   *struct {
				Column  int
				Message string
			}
		}
		if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
			t.Errorf("case %d: %v: %s%s", c.N, err, stdout.Bytes(), stderr.Bytes())
			continue
		}
		slices.Sort(c.Expected)
		same := slices.Equal(got.Minions, c.Expected) && (got.OK || c.Invalid || len(c.Expected) == 0)
		if same == slices.Contains(otherwise, c.N) {
			t.Errorf("case %d: %s %q: %+v; Salt: %v", c.N, c.Type, c.Expr, got, c.Expected)
		}
		if wrong := !got.OK; wrong != (code == 2) || wrong != (got.Error != nil) || wrong && (got.Error.Column < 1 || got.Error.Message == "") {
			t.Errorf("case %d: exit code %d: %s", c.N, code, stdout.Bytes())
		}
	}
}
