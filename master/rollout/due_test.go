package rollout

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestNewcomersGetTheNewRevisionOnceTheCanaryHasPassed(t *testing.T) {
	minion := func(id fleet.MinionID, stage string, phase fleet.Phase) *fleet.MinionProgress {
		return &fleet.MinionProgress{Minion: id, Stage: stage, Phase: phase}
	}
	canary := func(done bool) []*fleet.Pause { return []*fleet.Pause{{Stage: "canary", Done: done}} }
	for name, tc := range map[string]struct {
		d    fleet.Deployment
		want bool
	}{
		"before anybody serves":      {fleet.Deployment{Minions: []*fleet.MinionProgress{minion("a", "", fleet.Installing)}}, false},
		"the first serves":           {fleet.Deployment{Minions: []*fleet.MinionProgress{minion("a", "", fleet.Active), minion("b", "", fleet.Waiting)}}, true},
		"the canary is watched":      {fleet.Deployment{Pauses: canary(false), Minions: []*fleet.MinionProgress{minion("a", "canary", fleet.Active)}}, false},
		"the canary was watched":     {fleet.Deployment{Pauses: canary(true), Minions: []*fleet.MinionProgress{minion("a", "canary", fleet.Active)}}, true},
		"half of the canary":         {fleet.Deployment{Minions: []*fleet.MinionProgress{minion("a", "canary", fleet.Active), minion("b", "canary", fleet.Installing)}}, false},
		"it is being stopped":        {fleet.Deployment{Stop: &fleet.Stop{}, Minions: []*fleet.MinionProgress{minion("a", "", fleet.Active)}}, false},
		"it is being reverted":       {fleet.Deployment{Status: fleet.Reverting, Minions: []*fleet.MinionProgress{minion("a", "", fleet.Active)}}, false},
		"a side that does not serve": {fleet.Deployment{Strategy: fleet.Strategy{BlueGreen: &fleet.BlueGreen{}}, Minions: []*fleet.MinionProgress{minion("a", "", fleet.Active)}}, false},
		"was away at the plan":       {fleet.Deployment{Minions: []*fleet.MinionProgress{minion("a", "", fleet.Active), minion("new", "", fleet.Skipped)}}, true},
		"its turn will come":         {fleet.Deployment{Minions: []*fleet.MinionProgress{minion("a", "", fleet.Active), minion("new", "", fleet.Waiting)}}, false},
		"its turn was":               {fleet.Deployment{Pauses: canary(false), Minions: []*fleet.MinionProgress{minion("new", "canary", fleet.Active)}}, true},
	} {
		if tc.d.Status == "" {
			tc.d.Status = fleet.Running
		}
		if got := Due(&tc.d, "new"); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
