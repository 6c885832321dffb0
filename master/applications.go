package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	sources "github.com/brine-deploy/brine/master/source/all"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
)

// applications are the files of apps.d. They are read again when one of them has changed, so an edit counts from the
// next command on.
type applications struct {
	dir       string
	balancers []string

	mu    sync.Mutex
	stamp string // of the files that byName was read from
	all   []fleet.Application
}

// list gives all applications, or every error that their files have.
func (a *applications) list() ([]fleet.Application, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	stamp, err := a.now()
	if err != nil {
		return nil, err
	}
	if stamp == a.stamp {
		return a.all, nil
	}
	all, err := config.LoadApplications(a.dir, config.AppChecks{Target: checkTarget, Balancers: a.balancers, Sources: sources.Names()})
	if err != nil {
		return nil, err
	}
	a.all, a.stamp = all, stamp
	return all, nil
}

func (a *applications) now() (string, error) {
	entries, err := os.ReadDir(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("apps: the directory %s does not exist: make it, or set apps in master.yml", a.dir)
	}
	if err != nil {
		return "", fmt.Errorf("read applications: %w", err)
	}
	var b strings.Builder
	b.WriteString(filepath.Clean(a.dir))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return "", fmt.Errorf("read applications: %w", err)
		}
		fmt.Fprintf(&b, "\n%s %d %d", e.Name(), info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), nil
}

// get gives one application and, when name is not empty, makes sure that it has the group.
func (a *applications) get(app fleet.AppName, name fleet.GroupName) (fleet.Application, error) {
	all, err := a.list()
	if err != nil {
		return fleet.Application{}, err
	}
	i := slices.IndexFunc(all, func(x fleet.Application) bool { return x.Name == app })
	if i < 0 {
		return fleet.Application{}, &fleet.Problem{
			Message: fmt.Sprintf("unknown application %q; known: %s", app, joinNames(all, func(x fleet.Application) string { return string(x.Name) })),
			Hint:    "applications are the files in " + a.dir,
			Exit:    fleet.ExitUsage,
		}
	}
	if _, ok := all[i].Groups[name]; !ok && name != "" {
		groups := make([]string, 0, len(all[i].Groups))
		for g := range all[i].Groups {
			groups = append(groups, string(g))
		}
		slices.Sort(groups)
		return fleet.Application{}, &fleet.Problem{
			Message: fmt.Sprintf("application %s has no group %q; known: %s", app, name, strings.Join(groups, ", ")),
			Exit:    fleet.ExitUsage,
		}
	}
	return all[i], nil
}

func joinNames[T any](items []T, name func(T) string) string {
	if len(items) == 0 {
		return "none"
	}
	names := make([]string, len(items))
	for i, x := range items {
		names[i] = name(x)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// checkTarget is shorter than target.Parse: the file's line is shown with it.
func checkTarget(expr string) error {
	_, err := target.Parse(expr)
	if syntax, ok := errors.AsType[*target.SyntaxError](err); ok {
		return fmt.Errorf("column %d: %s", syntax.Column, syntax.Message)
	}
	return err
}
