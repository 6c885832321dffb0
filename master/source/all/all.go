// Package all lists the drivers of sources.
package all

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/master/source"
	"github.com/brine-deploy/brine/master/source/git"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// driver is one line of the list.
type driver struct {
	name string // as users write it after "type:"
	open func(spec fleet.SourceSpec, cacheDir string) (source.Source, error)
}

// drivers are sorted by name. A new one is a folder beside this one and a line here.
func drivers() []driver {
	return []driver{
		{"git", git.Open},
	}
}

// Names lists the types.
func Names() []string {
	var names []string
	for _, d := range drivers() {
		names = append(names, d.name)
	}
	return names
}

// New makes the source of an application. It only looks at the spec: the source itself is asked by the methods. Drivers
// keep what they have fetched in cacheDir, which may be shared by many sources. An unknown type lists the known ones.
func New(spec fleet.SourceSpec, cacheDir string) (source.Source, error) {
	for _, d := range drivers() {
		if d.name == cmp.Or(spec.Type, "git") {
			return d.open(spec, cacheDir)
		}
	}
	return nil, fmt.Errorf("unknown type %q; known: %s", spec.Type, strings.Join(Names(), ", "))
}
