package appspec

import (
	"strconv"
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
	Files       *yaml.Node                        // the section as it is; nil when missing
	Permissions *yaml.Node                        // likewise
	Notes       []string                          // what is in the file and has no effect, with its position
}

// Script is one script of a hook.
type Script struct {
	Location string        // slash-separated, clean, relative to the revision's root and inside it
	Timeout  time.Duration // above 0
	RunAs    string        // a user's name; may be empty
	Sudo     bool          // run by root, unless RunAs names someone
	Pos      yaml.Pos
}

// Parse reads and checks the file called name, which is used in complaints only. The error is of type yaml.Errors and
// tells all that is wrong.
func Parse(name string, data []byte) (*Spec, error) {
	doc, err := yaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	switch doc.Kind() {
	case yaml.Mapping:
	case yaml.Null:
		return nil, yaml.Join(doc.Errorf("the application specification file was empty"))
	default:
		return nil, yaml.Join(doc.Errorf("expected a mapping with version, os and hooks, found %s", doc.Kind()))
	}
	p := parser{spec: &Spec{Hooks: map[fleet.LifecycleEvent][]Script{}}}
	p.version(doc)
	p.os(doc)
	p.spec.Files = p.list(doc, "files")
	p.spec.Permissions = p.list(doc, "permissions")
	p.hooks(doc.Get("hooks"))
	if err := yaml.Join(p.errs...); err != nil {
		return nil, err
	}
	return p.spec, nil
}

// Unread notes the sections that have no effect where a layout other than appspec installs the files.
func (s *Spec) Unread(layout string) []string {
	var notes []string
	for _, section := range []struct {
		key  string
		node *yaml.Node
	}{{"files", s.Files}, {"permissions", s.Permissions}} {
		if len(section.node.Items()) > 0 {
			notes = append(notes, section.node.Pos().String()+": "+section.key+" is ignored with layout "+layout)
		}
	}
	return notes
}

type parser struct {
	spec *Spec
	errs []error
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

func (p *parser) list(doc *yaml.Node, key string) *yaml.Node {
	n := doc.Get(key)
	if k := n.Kind(); k != yaml.Sequence && k != yaml.Null {
		p.fail(n, "%s must be a list, found %s", key, k)
	}
	return n
}
