// Package pkgrepo configures where packages come from: Salt's pkgrepo states, for apt's one-line lists and for dnf and yum.
package pkgrepo

import (
	"context"
	"os"
	"path/filepath"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// States are the functions of the family.
func States() state.Family { return family{"/etc"}.states() }

type family struct{ etc string }

func (f family) states() state.Family {
	return state.Family{
		"managed": {
			Doc: "Configures a repository of packages. For apt, name is the line (deb [signed-by=...] URL DIST COMPONENT...) and file where it goes; " +
				"key_url is fetched to signed-by, or to trusted.gpg.d. For dnf and yum, name is the id, with baseurl, mirrorlist, gpgkey, gpgcheck. " +
				"The lists of packages are fetched by the next state that installs.",
			Params: []string{
				"file", "key_url", "key_text", "aptkey", "signedby", "dist", "comps", "architectures", "clean_file", "disabled", "enabled", "refresh",
				"refresh_db", "humanname", "baseurl", "mirrorlist", "metalink", "gpgcheck", "gpgkey", "gpgautoimport", "skip_if_unavailable", "priority",
				"sslverify", "repo_gpgcheck", "comments", "consolidate", "allow_insecure", "order",
			}, Run: f.managed,
		},
		"absent": {
			Doc:    "Takes a repository out of the configuration; its key stays.",
			Params: []string{"file", "dist", "comps", "baseurl", "keyid", "refresh", "copr"}, Run: f.absent,
		},
	}
}

// change is what a repository needs.
type change struct {
	file          string // to be written, or removed when remove says so
	before, after string
	remove        bool
	key           *key
	changes       *data.Map
}

func (t change) needed() bool { return t.remove || t.before != t.after || t.key != nil }

// plan is what kind of host it is.
func (f family) plan(ctx context.Context, c *state.Call, a *args.Reader, present bool) (change, string) {
	host := tool.On(c)
	switch {
	case host.Has("apt-get"):
		return f.apt(ctx, c, a, present)
	case host.Has("dnf"), host.Has("yum"):
		return f.yum(c, a, present)
	}
	return change{}, "no package manager was found whose repositories can be configured: apt, dnf and yum are known"
}

func (f family) managed(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	todo, problem := f.plan(ctx, c, a, true)
	if res, bad := a.Bad(); bad {
		return res
	}
	switch {
	case problem != "":
		return args.Failed("Failed to configure repo '%s': %s", c.Name, problem)
	case !todo.needed():
		return args.Fine("Package repo '%s' already configured", c.Name)
	case c.Test:
		return args.Would(nil, "Package repo '%s' would be configured. This may cause pkg states to behave differently than stated if this "+
			"action is repeated without test=True, due to the differences in the configured repositories.", c.Name)
	}
	if err := todo.apply(c); err != nil {
		return args.Failed("Failed to configure repo '%s': %v", c.Name, err)
	}
	return args.Done(todo.changes, "Configured package repo '%s'", c.Name)
}

func (f family) absent(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	todo, problem := f.plan(ctx, c, a, false)
	if res, bad := a.Bad(); bad {
		return res
	}
	switch {
	case problem != "":
		return args.Failed("Failed to remove repo %s: %s", c.Name, problem)
	case !todo.needed():
		return args.Fine("Package repo %s is absent", c.Name)
	case c.Test:
		return args.Would(nil, "Package repo '%s' will be removed. This may cause pkg states to behave differently than stated if this action is "+
			"repeated without test=True, due to the differences in the configured repositories.", c.Name)
	}
	if err := todo.apply(c); err != nil {
		return args.Failed("Failed to remove repo %s: %v", c.Name, err)
	}
	return args.Done(data.NewMap("repo", c.Name), "Removed repo %s", c.Name)
}

// apply writes what is different. The lists of packages are old now: the next state of pkg fetches them.
func (t change) apply(c *state.Call) error {
	if t.key != nil {
		if err := t.key.save(); err != nil {
			return err
		}
	}
	switch {
	case t.remove:
		if err := os.Remove(t.file); err != nil {
			return err
		}
	case t.before != t.after:
		if err := os.MkdirAll(filepath.Dir(t.file), 0o755); err != nil { //nolint:gosec // apt's own user must read it
			return err
		}
		if err := conffile.Write(t.file, t.after); err != nil {
			return err
		}
	}
	if c.Host.Cache != "" {
		_ = os.Remove(filepath.Join(c.Host.Cache, "pkg_refresh")) // it is not there when they were never fetched
	}
	return nil
}
