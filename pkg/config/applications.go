package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// AppChecks is what application files are checked against besides their own form.
type AppChecks struct {
	Target    func(expr string) error // parses a target expression; nil: targets are not checked
	Balancers []string                // the configured names
	Sources   []string                // the known types; nil: types are not checked
}

// LoadApplications loads all *.yml and *.yaml files of dir, one application each, sorted by name. A file without name:
// names its application itself. When a file is wrong, the error tells all that is wrong in all of them.
func LoadApplications(dir string, checks AppChecks) ([]fleet.Application, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read applications: %w", err)
	}
	var errs []error
	byName, names := map[fleet.AppName]fleet.Application{}, map[fleet.AppName]yaml.Pos{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yml" && ext != ".yaml" {
			continue
		}
		app, root, err := loadApplication(filepath.Join(dir, e.Name()), checks)
		errs = append(errs, err)
		if first, there := names[app.Name]; there && app.Name != "" {
			at := cmp.Or(root.Get("name"), root)
			errs = append(errs, at.Errorf("a second application %q; the first is in %s", app.Name, first.File))
			continue
		}
		names[app.Name], byName[app.Name] = root.Pos(), app
	}
	if err := yaml.Join(errs...); err != nil {
		return nil, err
	}
	apps := slices.SortedFunc(maps.Values(byName), func(a, b fleet.Application) int { return cmp.Compare(a.Name, b.Name) })
	return apps, nil
}

// LoadApplication loads one application file.
func LoadApplication(file string, checks AppChecks) (fleet.Application, error) {
	app, _, err := loadApplication(file, checks)
	if err != nil {
		return fleet.Application{}, err
	}
	return app, nil
}

// loadApplication returns the application as far as it could be read, also with an error.
func loadApplication(file string, checks AppChecks) (fleet.Application, *yaml.Node, error) {
	var app fleet.Application
	data, err := read(file)
	if errors.Is(err, os.ErrNotExist) { // a dangling link, or gone since the directory was read
		return app, nil, &yaml.Error{File: file, Message: "it does not exist"}
	}
	if err != nil {
		return app, nil, &yaml.Error{File: file, Message: err.Error()}
	}
	root, err := yaml.Parse(file, data)
	if err != nil {
		return app, nil, err
	}
	decodeErr := root.Decode(&app)
	if root.Get("name").Kind() == yaml.Null {
		app.Name = fleet.AppName(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	}
	c := appCheck{AppChecks: checks, app: app, root: root, broken: decodeErr != nil}
	c.all()
	return app, root, yaml.Join(append(c.errs, decodeErr)...)
}
