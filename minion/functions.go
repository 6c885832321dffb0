package minion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
)

// releaseFunction brings a revision to this host.
const releaseFunction = "deploy.release"

// testFunction says what that would do, and touches nothing.
const testFunction = "deploy.test"

// function is what a job names. Its value goes into the return, also beside an error.
type function func(ctx context.Context, job fleet.Job, report func(fleet.EventResult)) (any, error)

// table lists the functions: the execution functions that templates have too, and those that are a job's only.
func (m *Minion) table() map[string]function {
	table := map[string]function{}
	for name := range m.executionFunctions() {
		table[name] = m.execute
	}
	maps.Copy(table, m.stateFunctions())
	table["cmd.run"] = cmdRun
	table[releaseFunction] = m.release
	table[testFunction] = m.testRelease
	table["grains.items"] = func(ctx context.Context, _ fleet.Job, _ func(fleet.EventResult)) (any, error) {
		return m.facts(ctx), nil
	}
	return table
}

func (m *Minion) known() string {
	return strings.Join(slices.Sorted(maps.Keys(m.functions)), ", ")
}

func (m *Minion) release(ctx context.Context, job fleet.Job, report func(fleet.EventResult)) (any, error) {
	var order fleet.ReleaseOrder
	if err := json.Unmarshal(job.Args, &order); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	return m.runner.Release(ctx, job.ID, order, report)
}

// testRelease gives a line for each change, or why there is none.
func (m *Minion) testRelease(ctx context.Context, job fleet.Job, report func(fleet.EventResult)) (any, error) {
	var order fleet.ReleaseOrder
	if err := json.Unmarshal(job.Args, &order); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	order.Test = true
	res, err := m.runner.Release(ctx, job.ID, order, report)
	switch {
	case err != nil:
		return nil, err
	case res.Skipped != "":
		return []string{res.Skipped}, nil
	default:
		return res.Changes, nil
	}
}

// arguments reads a fleet.Call, whose maps keep their order.
func arguments(job fleet.Job) (args []any, named *data.Map, err error) {
	if len(job.Args) == 0 {
		return nil, &data.Map{}, nil
	}
	value, err := data.FromJSON(job.Args)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", job.Function, err)
	}
	call, ok := value.(*data.Map)
	if !ok && value != nil {
		return nil, nil, fmt.Errorf("%s: its arguments are no call", job.Function)
	}
	byPlace, _ := call.Get("args")
	byName, _ := call.Get("kwargs")
	args, _ = byPlace.([]any)
	named, _ = byName.(*data.Map)
	return args, named, nil
}

// cmdRun runs one shell command, as its name in Salt says: that a person may give any command is its purpose. Its value
// is the end of the output. When its time is over, or somebody kills it, all that it has started in its process group
// gets TERM, and KILL after a grace. An exit code is a failure, other than in a template.
func cmdRun(ctx context.Context, job fleet.Job, _ func(fleet.EventResult)) (any, error) {
	args, named, err := arguments(job)
	if err != nil {
		return nil, err
	}
	ctx, cancel := untilDeadline(ctx, job)
	defer cancel()
	var out modules.Output
	run := modules.All()["cmd.run"]
	run.Run = func(ctx context.Context, _ *modules.Env, args *data.Map) (any, error) {
		out, err = modules.RunCommand(ctx, args, true)
		return nil, err
	}
	_, err = modules.CallByPerson(ctx, &modules.Env{Functions: map[string]modules.Function{job.Function: run}}, job.Function, args, named)
	switch {
	case err != nil:
		return out.Stdout, err
	case out.Code > 0:
		return out.Stdout, fmt.Errorf("exit code %d", out.Code)
	case out.Code < 0:
		return out.Stdout, fmt.Errorf("killed by signal %d", -out.Code)
	}
	return out.Stdout, nil
}

var errDeadline = errors.New("the command did not end before the job's deadline and was killed")

// untilDeadline ends a command with its job's deadline.
func untilDeadline(ctx context.Context, job fleet.Job) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, job.Deadline, errDeadline)
}
