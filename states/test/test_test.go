package test_test

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
	"github.com/brine-deploy/brine/states/test"
)

func TestStatesDoAsTheyAreTold(t *testing.T) {
	for _, c := range []struct {
		function string
		args     *data.Map
		test     bool
		want     state.Verdict
		changed  bool
		comment  string
	}{
		{"fail_without_changes", nil, false, state.False, false, "Failure!"},
		{"fail_without_changes", nil, true, state.False, false, "If we weren't testing, this would be a failure!"},
		{"fail_with_changes", data.NewMap("comment", "c"), false, state.False, true, "c"},
		{"fail_with_changes", nil, true, state.Pending, true, "If we weren't testing, this would be failed with changes"},
		{"configurable_test_state", data.NewMap("result", false), false, state.False, true, ""},
		{"configurable_test_state", data.NewMap("result", false), true, state.Pending, true, "This is a test"},
		{"configurable_test_state", data.NewMap("changes", false, "result", false), true, state.True, false, "This is a test"},
		{"check_pillar", data.NewMap("present", "a:b", "string", []any{"n"}), false, state.False, false, "Pillar key \"a:b\" is missing.\nPillar key \"n\" is not str."},
	} {
		host := statetest.Host(t, "")
		host.Env.Pillar = data.NewMap("n", int64(1))
		args := data.Merge(nil, c.args, data.Overwrite, false)
		got := test.States()[c.function].Run(t.Context(), &state.Call{ID: "x", Name: "x", Args: args, Test: c.test, Host: host})
		if got.Verdict != c.want || got.Changes.Len() > 0 != c.changed || got.Comment != c.comment {
			t.Errorf("%s test=%t: %+v", c.function, c.test, got)
		}
	}
}
