package appspec

import (
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// DefaultTimeout is the limit of a script that sets none.
const DefaultTimeout = time.Hour

// Names are the names of the file in the root of a revision, the first that exists counts.
func Names() []string { return []string{"appspec.yml", "appspec.yaml"} }

// Spec is a checked appspec.yml.
type Spec struct {
	Hooks       map[fleet.LifecycleEvent][]Script // in the order of the file
	Files       []File                            // likewise
	Exists      Exists                            // what becomes of files that are in the way; empty when the file does not say
	Permissions []Permission                      // in the order of the file
	Notes       []string                          // what is in the file and has no effect, with its position
}

// Script is one script of a hook.
type Script struct {
	Location string        // slash-separated, clean, relative to the revision's root and inside it
	Written  string        // the location as the file has it, for people
	Timeout  time.Duration // above 0
	RunAs    string        // a user's name; may be empty
	Sudo     bool          // run by root, unless RunAs names someone
	Pos      yaml.Pos
}

// Parse reads and checks the file called name, which is used in complaints only. The events of custom are known beside
// those of the lifecycle. The error is of type yaml.Errors and tells all that is wrong.
func Parse(name string, data []byte, custom ...fleet.LifecycleEvent) (*Spec, error) {
	doc, twice, err := yaml.LastWins(name, data)
	if err != nil {
		return nil, err
	}
	switch doc.Kind() {
	case yaml.Mapping:
	case yaml.Null:
		return nil, yaml.Join(doc.Errorf("the application specification file was empty: it must have at least version and os"))
	default:
		return nil, yaml.Join(doc.Errorf("the application specification file must be a mapping with version, os, files and hooks, found %s", doc.Kind()))
	}
	p := parser{spec: &Spec{Hooks: map[fleet.LifecycleEvent][]Script{}}, custom: custom}
	for _, e := range twice {
		p.note(e.File, e.Line, e.Column, e.Message)
	}
	p.version(doc)
	p.os(doc)
	p.files(doc)
	p.permissions(doc)
	p.hooks(doc.Get("hooks"))
	if err := yaml.Join(p.errs...); err != nil {
		return nil, err
	}
	return p.spec, nil
}

// Unread notes the sections that have no effect where a layout other than appspec installs the files.
func (s *Spec) Unread(layout string) []string {
	var notes []string
	if len(s.Files) > 0 {
		notes = append(notes, s.Files[0].Pos.String()+": files is ignored with layout "+layout)
	}
	if len(s.Permissions) > 0 {
		notes = append(notes, s.Permissions[0].Pos.String()+": permissions is ignored with layout "+layout)
	}
	return notes
}

type parser struct {
	spec   *Spec
	custom []fleet.LifecycleEvent
	errs   []error
}

func (p *parser) note(file string, line, column int, message string) {
	p.spec.Notes = append(p.spec.Notes, yaml.Pos{File: file, Line: line, Column: column}.String()+": "+message)
}

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, n.Errorf(format, args...))
}

// version must be the number 0.0. The agent compares numbers, so 0 and 0.00 pass and "0.0" does not.
func (p *parser) version(doc *yaml.Node) {
	n := doc.Get("version")
	if n == nil {
		p.fail(doc, "invalid version value (): the key version is missing; add version: 0.0")
		return
	}
	v, err := strconv.ParseFloat(n.Text(), 64)
	if n.Quoted() || err != nil || v != 0 {
		p.fail(n, "invalid version value (%s): it must be the number 0.0, without quotes", n.Text())
	}
}

func (p *parser) os(doc *yaml.Node) {
	n := doc.Get("os")
	if n == nil {
		p.fail(doc, "unsupported operating system (): the key os is missing; add os: linux")
		return
	}
	if n.Text() != "linux" {
		p.fail(n, "unsupported operating system (%s): it must be linux", n.Text())
	}
}

// list returns the elements of an optional list.
func (p *parser) list(n *yaml.Node, key string) []*yaml.Node {
	v := n.Get(key)
	if k := v.Kind(); k != yaml.Sequence && k != yaml.Null {
		p.fail(v, "%s must be a list, found %s", key, k)
	}
	return v.Items()
}

// mapping reports whether an element of a list is one, and complains otherwise.
func (p *parser) mapping(n *yaml.Node, what string) bool {
	if n.Kind() != yaml.Mapping {
		p.fail(n, "%s must be a mapping, found %s", what, n.Kind())
	}
	return n.Kind() == yaml.Mapping
}

// text returns a scalar, trimmed.
func (p *parser) text(n *yaml.Node, key string) string { return strings.TrimSpace(p.raw(n, key)) }

func (p *parser) raw(n *yaml.Node, key string) string {
	v := n.Get(key)
	if k := v.Kind(); k != yaml.Scalar && k != yaml.Null {
		p.fail(v, "%s must be text, found %s", key, k)
	}
	return v.Text()
}
