package deploy_test

import (
	"context"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/deploy"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	host := statetest.Host(t, "")
	there := false
	host.Release = func(_ context.Context, app, group string, test bool) state.Result {
		changes := data.NewMap("release", app+"/"+group)
		switch {
		case there:
			return state.Result{Verdict: state.True}
		case test:
			return state.Result{Verdict: state.Pending, Changes: changes}
		}
		there = true
		return state.Result{Verdict: state.True, Changes: changes}
	}
	statetest.Run(t, deploy.States(), statetest.Example{Function: "release", Name: "shop/production", Host: host})
	res := deploy.States()["release"].Run(t.Context(), &state.Call{Name: "shop/production", Host: statetest.Host(t, "")})
	if res.Verdict != state.False || res.Comment == "" {
		t.Errorf("without a master: %+v", res)
	}
}
