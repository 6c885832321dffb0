package pkg

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

func latest(ctx context.Context, c *state.Call) state.Result {
	s, res, bad := read(c)
	if bad {
		return res
	}
	before, err := s.p.installed(ctx)
	if err != nil {
		return args.Failed("%v", err)
	}
	if !c.Test {
		if err := s.fresh(ctx); err != nil {
			return args.Failed("%v", err)
		}
		s.refresh = false
	}
	found, err := s.p.candidates(ctx, names(s.r.specs), s.r.repo)
	if err != nil {
		return args.Failed("An exception occurred while obtaining the package's latest version: %v", err)
	}
	var todo []spec
	var unknown []string
	for _, one := range s.r.specs {
		have, newest := before[one.name], found[one.name]
		switch {
		case newest == "" && have == "":
			unknown = append(unknown, one.name)
		case newest != "" && (have == "" && !s.r.onlyUpgrade || have != "" && s.p.compare(ctx, have, newest) < 0):
			todo = append(todo, spec{name: one.name, version: newest})
		}
	}
	list := strings.Join(names(todo), ", ")
	switch {
	case len(unknown) > 0:
		return args.Failed("No information found for '%s'.", strings.Join(unknown, "', '"))
	case len(todo) == 0 && len(s.r.specs) > 1:
		return args.Fine("All packages are up-to-date (%s).", strings.Join(names(s.r.specs), ", "))
	case len(todo) == 0:
		return args.Fine("Package %s is already up-to-date", s.r.specs[0].name)
	case c.Test:
		changes := data.NewMap()
		for _, one := range todo {
			changes.Set(one.name, data.NewMap("new", one.version, "old", before[one.name]))
		}
		return args.Would(changes, "The following packages are set to be installed/upgraded: %s", list)
	}
	if err := s.install(ctx, todo, before); err != nil {
		return args.Failed("An exception occurred while installing the latest version: %v", err)
	}
	res = s.outcome(ctx, todo, before)
	if res.Verdict == state.True {
		res.Comment = "The following packages were successfully installed/upgraded: " + list
	}
	return res
}

// removal makes the functions removed and purged.
func removal(purge bool) func(context.Context, *state.Call) state.Result {
	action := "remove"
	if purge {
		action = "purge"
	}
	return func(ctx context.Context, c *state.Call) state.Result {
		s, res, bad := read(c)
		if bad {
			return res
		}
		before, err := s.p.installed(ctx)
		if err != nil {
			return args.Failed("%v", err)
		}
		if purge {
			maps.Copy(before, leftovers(ctx, s.p))
		}
		var todo []string
		for _, one := range s.r.specs {
			have := before[one.name]
			if have != "" && have != provided && s.satisfied(ctx, have, one.version) {
				todo = append(todo, one.name)
			}
		}
		switch {
		case len(todo) == 0 && !s.several && s.r.specs[0].version == "", len(todo) == 0:
			return args.Fine("All specified packages are already absent")
		case c.Test:
			changes := data.NewMap()
			for _, name := range todo {
				changes.Set(name, data.NewMap("new", action+"d", "old", ""))
			}
			return args.Would(changes, "The following packages will be %sd: %s.", action, strings.Join(todo, ", "))
		}
		if err := s.p.remove(ctx, todo, purge); err != nil {
			return args.Failed("The following packages failed to %s: %s: %v.", action, strings.Join(todo, ", "), err)
		}
		after, err := s.p.installed(ctx)
		if err != nil {
			return args.Failed("%v", err)
		}
		if purge {
			maps.Copy(after, leftovers(ctx, s.p))
		}
		changes := between(before, after)
		if left := slices.DeleteFunc(slices.Clone(todo), func(n string) bool { return after[n] == "" }); len(left) > 0 {
			return state.Result{Comment: "The following packages failed to " + action + ": " + strings.Join(left, ", ") + ".", Changes: changes}
		}
		return args.Done(changes, "All targeted packages were %sd.", action)
	}
}

// leftovers are the packages of which only the configuration is left, where the package manager knows such.
func leftovers(ctx context.Context, p packager) map[string]string {
	if keeps, ok := p.(interface {
		configured(ctx context.Context) map[string]string
	}); ok {
		return keeps.configured(ctx)
	}
	return nil
}

func uptodate(ctx context.Context, c *state.Call) state.Result {
	s, res, bad := read(c)
	if bad {
		return res
	}
	if !c.Test {
		if err := s.fresh(ctx); err != nil {
			return args.Failed("%v", err)
		}
		s.refresh = false
	}
	waiting, err := s.p.upgradable(ctx)
	if err != nil {
		return args.Failed("Problem encountered while listing upgrades: %v", err)
	}
	if s.several {
		only := names(s.r.specs)
		waiting = slices.DeleteFunc(waiting, func(n string) bool { return !slices.Contains(only, n) })
	}
	switch {
	case len(waiting) == 0:
		return args.Fine("System is already up-to-date")
	case c.Test:
		return args.Would(nil, "System update will be performed")
	}
	before, err := s.p.installed(ctx)
	if err != nil {
		return args.Failed("%v", err)
	}
	if s.several {
		s.r.specs = slices.DeleteFunc(s.r.specs, func(one spec) bool { return !slices.Contains(waiting, one.name) })
		s.r.onlyUpgrade = true
		err = s.p.install(ctx, s.r)
	} else {
		err = s.p.upgrade(ctx, s.dist)
	}
	if err != nil {
		return args.Failed("Problem encountered upgrading packages: %v", err)
	}
	after, err := s.p.installed(ctx)
	if err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(between(before, after), "Upgrade ran successfully")
}
