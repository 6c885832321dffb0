// Package caller runs functions on this host without a master: state.apply and its kin, and all execution functions.
package caller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/minion/grains"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/pillar"
	"github.com/brine-deploy/brine/pkg/stateoutput"
	"github.com/brine-deploy/brine/states"
	"github.com/brine-deploy/brine/states/compile"
)

// Options say what this minion is, and where its states and pillar are.
type Options struct {
	ID          string // the host's name when empty
	FileRoots   []string
	PillarRoots []string
	Grains      *data.Map // these win over what is found
	Opts        *data.Map // Salt's settings by Salt's names: failhard, nodegroups, file_roots, ...
	Log         *slog.Logger
}

// Caller runs functions on this host. Its methods may be called concurrently.
type Caller struct {
	env    *modules.Env
	engine *states.Engine
}

// New finds out what there is to know of this host and makes a Caller.
func New(ctx context.Context, o Options) (*Caller, error) {
	id := o.ID
	if id == "" {
		id, _ = os.Hostname()
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	files := roots(o.Opts, "file_roots", o.FileRoots)
	found, _ := data.From(map[string]any(grains.Collect(ctx, nil, fleet.MinionID(id), o.Log))).(*data.Map)
	env := &modules.Env{
		ID: id, Grains: data.Merge(found, o.Grains, data.Overwrite, false), Saltenv: fileroot.Base, Files: files, Cache: cache,
		Log: o.Log, Functions: modules.All(),
	}
	env.Opts = data.Merge(defaults(env, files, o.PillarRoots), o.Opts, data.Overwrite, false)
	tree := &pillar.Tree{Files: roots(env.Opts, "pillar_roots", o.PillarRoots)}
	if err := tree.Strategies(env.Opts); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	engine := &states.Engine{
		Env: env, Families: states.All(), Command: command,
		Pillar: func(ctx context.Context, override *data.Map) (*data.Map, error) {
			own, err := tree.Compile(ctx, env, override)
			return own, complaints(err)
		},
	}
	maps.Copy(env.Functions, engine.Functions())
	return &Caller{env: env, engine: engine}, nil
}

// command runs programs of states: with what the host has on its path, and nothing of ours.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "brine", "minion")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make cache: %w", err)
	}
	return dir, nil
}

// roots are the directories of each environment: those of the options, else those that were named.
func roots(opts *data.Map, key string, named []string) fileroot.Local {
	v, _ := opts.Get(key)
	configured, ok := v.(*data.Map)
	if !ok {
		return fileroot.New(named...)
	}
	all := fileroot.Local{}
	for env, dirs := range configured.All() {
		list, _ := dirs.([]any)
		for _, dir := range list {
			all[modules.Text(env)] = append(all[modules.Text(env)], modules.Text(dir))
		}
	}
	return all
}

// defaults are the settings that templates and functions may ask for.
func defaults(env *modules.Env, files fileroot.Local, pillarRoots []string) *data.Map {
	return data.NewMap(
		"id", env.ID, "test", false, "failhard", false, "saltenv", nil, "pillarenv", nil, "file_client", "local", "local", true,
		"renderer", "jinja|yaml", "state_top", "salt://top.sls", "cachedir", env.Cache, "nodegroups", &data.Map{},
		"file_roots", data.From(map[string][]string(files)), "pillar_roots", data.From(map[string][]string{fileroot.Base: pillarRoots}),
		"pillar_source_merging_strategy", "smart", "pillar_merge_lists", false, "state_auto_order", true, "hash_type", "sha256",
		"default_include", "minion.d/*.conf", "conf_file", "/etc/brine/minion.yml", "__role", "minion", "__cli", "salt-call",
	)
}

// complaints gives what is wrong with pillar as the engine's errors.
func complaints(err error) error {
	var bad pillar.Errors
	if !errors.As(err, &bad) {
		return err
	}
	all := make(compile.Errors, len(bad))
	for i, e := range bad {
		all[i] = &compile.Error{
			Class: compile.Pillar, File: e.File, Path: e.Path, Line: e.Line, Column: e.Column, Message: e.Message, Snippet: e.Snippet,
		}
	}
	return all
}

// Call calls a function by its name. The error is the context's; all else is in the answer.
func (c *Caller) Call(ctx context.Context, name string, args []any, named *data.Map) (*states.Answer, error) {
	var answer *states.Answer
	var err error
	if strings.HasPrefix(name, "state.") {
		answer, err = c.engine.Call(ctx, name, args, named)
	} else {
		answer, err = c.execute(ctx, name, args, named)
	}
	if err == nil || ctx.Err() != nil {
		return answer, err
	}
	return &states.Answer{
		Code: states.CodeCompile, Errors: compile.Errors{{Class: stateoutput.BadCall, Message: err.Error()}},
	}, nil
}

// execute calls an execution function, which sees the pillar.
func (c *Caller) execute(ctx context.Context, name string, args []any, named *data.Map) (*states.Answer, error) {
	own, err := c.engine.Pillar(ctx, nil)
	var bad compile.Errors
	if err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	env := *c.env
	env.Pillar = own
	got, err := modules.CallByPerson(ctx, &env, name, args, named)
	if err != nil {
		return nil, err
	}
	return &states.Answer{Return: got}, nil
}
