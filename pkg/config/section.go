package config

import (
	"fmt"

	"github.com/brine-deploy/brine/pkg/yaml"
)

// Section is the configuration of one plug-in: its type and, for the plug-in alone to decode, the rest. It is a
// registry.Section.
type Section struct {
	Type string

	defaults, node *yaml.Node
}

// NewSection makes a Section of a type and the YAML of the rest, for callers that have no file.
func NewSection(typ, text string) (Section, error) {
	node, err := yaml.Parse(typ, []byte(text))
	if err != nil {
		return Section{}, err
	}
	return Section{Type: typ, node: node}, nil
}

// DecodeNode takes the type out of n and keeps the rest.
func (s *Section) DecodeNode(n *yaml.Node) error {
	if n.Kind() != yaml.Mapping {
		return n.Errorf("expected a mapping, found %s", n.Kind())
	}
	typ := n.Get("type")
	if typ.Text() == "" {
		return n.Errorf("the key \"type\" is missing")
	}
	*s = Section{Type: typ.Text(), node: n.Without("type")}
	return nil
}

// Decode decodes the section strictly into a pointer to a plug-in's Config. See registry.Section.
func (s Section) Decode(out any) error {
	if err := s.defaults.Decode(out); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	return s.node.Decode(out)
}

// Errorf makes a complaint about the section, with its place in the file if it has one.
func (s Section) Errorf(format string, args ...any) error { return s.node.Errorf(format, args...) }
