package minion

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"

	"github.com/brine-deploy/brine/minion/caller"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/stateoutput"
	"github.com/brine-deploy/brine/states"
	"github.com/brine-deploy/brine/states/state"
)

// stateFunctions are the functions of state.*, which jobs call.
func (m *Minion) stateFunctions() map[string]function {
	out := map[string]function{}
	for _, name := range states.Names() {
		out[name] = m.callState
	}
	return out
}

// callState applies states for a job, or says what they are. The value of those that apply is a stateoutput.Report.
func (m *Minion) callState(ctx context.Context, job fleet.Job, _ func(fleet.EventResult)) (any, error) {
	args, named, err := arguments(job)
	if err != nil {
		return nil, err
	}
	if err := m.files.Refresh(ctx); err != nil {
		if !errors.Is(err, errNotConnected) {
			return nil, err
		}
		m.log.WarnContext(ctx, "states are those of the last time", "error", err)
	}
	engine := m.engine(ctx)
	if engine.Env.Functions[job.Function].Changes {
		if err := m.applyAlone(ctx); err != nil {
			return nil, err
		}
		defer func() { <-m.applying }()
	}
	answer, err := engine.Call(ctx, job.Function, args, named)
	if err != nil {
		return nil, err
	}
	if !answer.Applied && len(answer.Errors) == 0 {
		return answer.Return, nil
	}
	report := caller.Report(answer)
	if m.own(job) && answer.Empty() {
		return report, nil // a host of which no top file speaks is as it should be
	}
	return report, failed(answer)
}

// counts tells in a log how many states were applied, and what they changed.
func counts(value any) []any {
	report, ok := value.(*stateoutput.Report)
	if !ok {
		return nil
	}
	changed := 0
	for _, s := range report.States {
		if s.Changed {
			changed++
		}
	}
	return []any{"states", len(report.States), "changed", changed}
}

// failed says in a line why an answer is none that all went well.
func failed(a *states.Answer) error {
	bad := 0
	for _, s := range a.States {
		if s.Verdict == state.False {
			bad++
		}
	}
	switch {
	case a.OK():
		return nil
	case len(a.Errors) > 0:
		return fmt.Errorf("%w (retcode %d)", a.Errors[0], a.Code)
	default:
		return fmt.Errorf("%d of %d states failed (retcode %d)", bad, len(a.States), a.Code)
	}
}

// applyAlone waits until no other job applies states.
func (m *Minion) applyAlone(ctx context.Context) error {
	select {
	case m.applying <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// engine applies states with what this minion is now; files and pillar are the master's.
func (m *Minion) engine(ctx context.Context) *states.Engine {
	env := m.environment(ctx, "state")
	engine := &states.Engine{
		Env: env, Families: states.All(), Pillar: m.pillar,
		Command: func(ctx context.Context, name string, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, name, args...)
		},
	}
	maps.Copy(env.Functions, engine.Functions())
	return engine
}

// withPillar says which functions are given the pillar as it is now.
func withPillar(name string) bool {
	family, _, _ := strings.Cut(name, ".")
	switch family {
	case "pillar", "config", "match":
		return true
	}
	return false
}

// withMaster adds what the master has of this minion's to what a function sees.
func (m *Minion) withMaster(ctx context.Context, env *modules.Env, name string) error {
	if strings.HasPrefix(name, "cp.") {
		return m.files.Refresh(ctx)
	}
	if !withPillar(name) {
		return nil
	}
	own, err := m.pillar(ctx, nil)
	if err == nil {
		env.Pillar = own
	}
	return err
}

// sysFunctions tell of states what sys.doc tells of functions.
func sysFunctions() map[string]modules.Function {
	table := map[string]modules.Function{}
	for family, functions := range states.All() {
		for name, f := range functions {
			table[family+"."+name] = modules.Function{Doc: f.Doc, Params: f.Params}
		}
	}
	names := func(args *data.Map) []string {
		given, _ := args.Get("*")
		list, _ := given.([]any)
		patterns := make([]string, len(list))
		for i, v := range list {
			patterns[i] = modules.Text(v)
		}
		return modules.Names(table, patterns)
	}
	return map[string]modules.Function{
		"sys.list_state_functions": {
			Doc: "The names of the states that SLS files can declare.\nany number of names: families, functions, or globs\n  sys.list_state_functions file", Params: []string{"*"},
			Run: func(_ context.Context, _ *modules.Env, args *data.Map) (any, error) {
				list := []any{}
				for _, name := range names(args) {
					list = append(list, name)
				}
				return list, nil
			},
		},
		"sys.state_doc": {
			Doc: "What states do, by name.\nany number of names: families, functions, or globs\n  sys.state_doc file.managed", Params: []string{"*"},
			Run: func(_ context.Context, _ *modules.Env, args *data.Map) (any, error) {
				docs := &data.Map{}
				for _, name := range names(args) {
					docs.Set(name, table[name].Doc)
				}
				return docs, nil
			},
		},
	}
}
