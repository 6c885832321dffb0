// Package registry is a typed list of plug-ins. A plug-in is one folder with its own Config and one line in its list.
package registry

import (
	"fmt"
	"log/slog"
	"strings"
)

// Section is one plug-in's part of a configuration file.
type Section interface {
	// Decode decodes the section strictly into a pointer to a plug-in's Config: an unknown key or a wrong type is an
	// error with file, line and column. Keys that the file does not have leave out unchanged, so defaults go in first.
	Decode(out any) error
}

// Plugin is one line of a List.
type Plugin[T any] struct {
	Name string // as users write it after "type:"
	Help string // one line
	New  func(Section, *slog.Logger) (T, error)
}

// List holds the plug-ins of one kind, sorted by name.
type List[T any] []Plugin[T]

// New makes the plug-in called name. An unknown name is an error that lists the known ones.
func (l List[T]) New(name string, s Section, log *slog.Logger) (T, error) {
	names := make([]string, 0, len(l))
	for _, p := range l {
		if p.Name == name {
			return p.New(s, log)
		}
		names = append(names, p.Name)
	}
	var none T
	return none, fmt.Errorf("unknown type %q; known: %s", name, strings.Join(names, ", "))
}
