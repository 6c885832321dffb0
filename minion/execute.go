package minion

import (
	"context"
	"maps"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/minion/grains"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states"
)

// executionFunctions is the table of this minion: what every host can tell and do, and what sets its own grains.
func (m *Minion) executionFunctions() map[string]modules.Function {
	table := modules.All()
	maps.Copy(table, m.grainsFunctions())
	maps.Copy(table, m.refreshFunctions())
	maps.Copy(table, sysFunctions())
	return table
}

// execute calls an execution function for a job. Commands end with the job's deadline; nothing else has one.
func (m *Minion) execute(ctx context.Context, job fleet.Job, _ func(fleet.EventResult)) (any, error) {
	args, named, err := arguments(job)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(job.Function, "cmd.") {
		var cancel context.CancelFunc
		ctx, cancel = untilDeadline(ctx, job)
		defer cancel()
	}
	env := m.environment(ctx, job.Function)
	if err := m.withMaster(ctx, env, job.Function); err != nil {
		return nil, err
	}
	return modules.CallByPerson(ctx, env, job.Function, args, named)
}

// environment is what a function sees of this minion. Grains are looked for only by those that may ask for them.
func (m *Minion) environment(ctx context.Context, name string) *modules.Env {
	env := &modules.Env{
		ID: m.cfg.ID, Grains: &data.Map{}, Pillar: &data.Map{}, Files: m.files, Opts: m.options(), Saltenv: "base", Cache: filepath.Join(m.cfg.StateDir, "cache"),
		Log: m.log, Functions: m.executionFunctions(),
	}
	family, _, _ := strings.Cut(name, ".")
	switch family {
	case "sys": // it tells of all that can be called
		maps.Copy(env.Functions, (&states.Engine{Env: env}).Functions())
	case "test", "cmd", "file", "status", "disk", "service", "user", "group", "environ", "hashutil":
	default:
		env.Grains, _ = data.From(map[string]any(m.facts(ctx))).(*data.Map)
	}
	return env
}

// options are Salt's names for what this minion is configured to do.
func (m *Minion) options() *data.Map {
	configured, _ := data.From(m.cfg.Options).(*data.Map)
	return data.Merge(data.NewMap(
		"id", m.cfg.ID, "master", m.cfg.Master, "cachedir", filepath.Join(m.cfg.StateDir, "cache"), "file_client", "remote", "saltenv", nil,
		"pillarenv", nil, "test", false, "failhard", false, "renderer", "jinja|yaml", "state_top", "salt://top.sls", "hash_type", "sha256",
		"__role", "minion", "__cli", "salt-minion", "grains", data.From(map[string]any(m.cfg.Grains)),
	), configured, data.Overwrite, false)
}

// grainsFile holds the grains that were set by name.
func (m *Minion) grainsFile() string { return filepath.Join(m.cfg.StateDir, "grains.json") }

func (m *Minion) facts(ctx context.Context) fleet.Grains {
	from := grains.Options{Cloud: m.cfg.Cloud, Dir: m.cfg.GrainsDir, Configured: m.cfg.Grains, Set: m.grainsFile()}
	return grains.Find(ctx, from, fleet.MinionID(m.cfg.ID), m.log)
}
