// Package pillar compiles the pillar of one minion: a top file says which SLS files are its own, they are rendered, and
// what they give is merged, all as Salt does it. Encrypted values are decrypted here, so on the master only.
package pillar

import (
	"context"
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Tree is where pillar comes from and how it is put together. It may be used concurrently once made.
type Tree struct {
	Files    modules.Files // the pillar's own roots; nil: there is no pillar but the override
	Strategy data.Strategy // how files are merged: Salt's pillar_source_merging_strategy
	Lists    bool          // lists are appended to instead of replaced: pillar_merge_lists
	// IncludesOverride lets an included file win over the one that includes it: pillar_includes_override_sls.
	IncludesOverride bool
	Only             string            // only this environment (pillarenv), when not empty
	Nodegroups       target.Nodegroups // what top files may name
	// Decrypt opens a value that is an armoured age file. Without it such a value is an error.
	Decrypt func(armoured string) (string, error)

	// render is render.Renderer's SLS, but for tests.
	render func(context.Context, *modules.Env, render.Source, *data.Map) (*yaml.Node, error)
}

// Strategies reads Salt's names of the settings from a minion's or master's options.
func (t *Tree) Strategies(opts *data.Map) error {
	if v, ok := opts.Get("pillar_source_merging_strategy"); ok {
		t.Strategy = data.Strategy(modules.Text(v))
	}
	for name, field := range map[string]*bool{"pillar_merge_lists": &t.Lists, "pillar_includes_override_sls": &t.IncludesOverride} {
		if v, ok := opts.Get(name); ok {
			*field = modules.Truth(v)
		}
	}
	if v, _ := opts.Get("pillarenv"); v != nil {
		t.Only = modules.Text(v)
	}
	if v, ok := opts.Get("nodegroups"); ok {
		t.Nodegroups, _ = data.Plain(v).(map[string]any)
	}
	if err := t.Strategy.Valid(); err != nil {
		return fmt.Errorf("pillar_source_merging_strategy: %w", err)
	}
	return nil
}

// Compile gives the pillar of env's minion. Override, which may be nil, is what was given with the call (pillar=): it is
// merged last, and is the only pillar that the files themselves see. Of env's functions the files have those that change
// nothing. The error is of type Errors, or the context's; what could be compiled is returned with it, for those who look
// for the mistake. It must not reach the minion.
func (t *Tree) Compile(ctx context.Context, env *modules.Env, override *data.Map) (*data.Map, error) {
	if t.Files == nil {
		return data.Merge(override, nil, data.Recurse, false), nil
	}
	c := t.compilation(env, override)
	out := data.Merge(override, nil, data.Recurse, false)
	for _, chosen := range c.top(ctx) {
		mods := map[string]*data.Map{}
		for _, sls := range c.expand(ctx, chosen) {
			if own := c.file(ctx, sls, mods, nil); own != nil {
				out = data.Merge(out, own, t.Strategy, t.Lists)
			}
		}
	}
	out = data.Merge(out, override, t.Strategy, t.Lists)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case len(c.errs) > 0:
		return out, c.errs
	default:
		return out, nil
	}
}

// compilation is one minion's Compile.
type compilation struct {
	*Tree
	env  *modules.Env // what the files see
	errs Errors
	all  map[string][]string // SLS names by environment
}

func (t *Tree) compilation(env *modules.Env, override *data.Map) *compilation {
	seen := *env
	seen.Files, seen.Pillar, seen.Functions = t.Files, override, modules.ReadOnly(env.Functions)
	if seen.Pillar == nil {
		seen.Pillar = &data.Map{}
	}
	return &compilation{Tree: t, env: &seen, all: map[string][]string{}}
}

// names are the SLS files of an environment.
func (c *compilation) names(ctx context.Context, saltenv string) []string {
	names, ok := c.all[saltenv]
	if !ok {
		files, err := c.Files.List(ctx, saltenv, "")
		if err != nil {
			c.fail(&Error{File: "pillar:top", Message: err.Error(), Err: err})
		}
		names = modules.SLSNames(files)
		c.all[saltenv] = names
	}
	return names
}

// chosen is an SLS, or a glob of several, that a top file gives to the minion.
type chosen struct {
	saltenv, name string
	missing       bool // it need not be there
}

// expand gives the SLS files that the names of one environment mean.
func (c *compilation) expand(ctx context.Context, of []chosen) []chosen {
	var out []chosen
	for _, one := range of {
		some := false
		for _, name := range c.names(ctx, one.saltenv) {
			if target.Glob(one.name, name) {
				out, some = append(out, chosen{one.saltenv, name, one.missing}), true
			}
		}
		if !some {
			out = append(out, one)
		}
	}
	return out
}
