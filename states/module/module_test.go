package module_test

import (
	"context"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/module"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func host(t *testing.T) *state.Host {
	t.Helper()
	h := statetest.Host(t, "")
	h.Functions = map[string]modules.Function{"test.echo": {
		Doc: "Gives its argument.", Params: []string{"text"},
		Run: func(_ context.Context, _ *modules.Env, args *data.Map) (any, error) {
			v, _ := args.Get("text")
			return v, nil
		},
	}}
	return h
}

func TestBothFormsCallWhatTheHostOffers(t *testing.T) {
	h := host(t)
	run := module.States()["run"].Run
	for name, c := range map[string]*state.Call{
		"new":      {Name: "id", Args: data.NewMap("test.echo", []any{data.NewMap("text", "hi")})},
		"by place": {Name: "id", Args: data.NewMap("test.echo", []any{"hi"})},
		"old":      {Name: "test.echo", Args: data.NewMap("text", "hi")},
		"older":    {Name: "test.echo", Args: data.NewMap("m_text", "hi")},
	} {
		c.Host, c.Test = h, true
		if res := run(t.Context(), c); res.Verdict != state.Pending || res.Changes.Len() > 0 {
			t.Errorf("%s with test=True: %+v", name, res)
		}
		c.Test = false
		res := run(t.Context(), c)
		key := "test.echo"
		if strings.HasPrefix(name, "old") {
			key = "ret"
		}
		if got, _ := res.Changes.Get(key); res.Verdict != state.True || got != "hi" {
			t.Errorf("%s: %+v gave %v", name, res, got)
		}
	}
	res := run(t.Context(), &state.Call{Name: "test.ecco", Host: h})
	if res.Verdict != state.False || !strings.HasPrefix(res.Comment, "Unavailable function: test.ecco.") {
		t.Errorf("got %+v", res)
	}
	if res := module.States()["wait"].Run(t.Context(), &state.Call{Name: "test.echo", Host: h}); res.Verdict != state.True || res.Changes.Len() > 0 {
		t.Errorf("wait: %+v", res)
	}
}
