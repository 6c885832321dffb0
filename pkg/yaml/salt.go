package yaml

import (
	"encoding/base64"
	"fmt"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/brine-deploy/brine/pkg/data"
)

// The limits of a file that templates may have made.
const (
	saltBytes = 8 << 20
	saltNodes = 500_000
)

// Salt reads one document of states or pillar as Salt 3006 does, which is YAML 1.1 as PyYAML's SafeLoader reads it with
// Salt's changes: yes and off are bools but y is text, 0644 is the integer 644, 12:30 is 750, 1e3 is text, dates stay
// text, merged keys come before the own ones. The file's name is used in complaints only. An empty document is a Node of
// the kind Null. Nodes give their values by Data. The error is of type Errors.
//
// Where PyYAML fails on something harmless, such as a lone =, or two merged mappings that share a key, Salt does not.
func Salt(file string, text []byte) (*Node, error) {
	src := &source{file: file, salt: true}
	if len(text) > saltBytes {
		return nil, Errors{src.errorAt(0, 0, fmt.Sprintf("the file has %d bytes; at most %d are read", len(text), saltBytes), "")}
	}
	return parse(src, text, saltNodes)
}

// Data gives n and what is below it as values of package data, scalars as Salt reads them.
func (n *Node) Data() any {
	switch n.Kind() {
	case Scalar:
		v, _ := n.saltScalar() // a bad one was refused when the file was read
		return v
	case Sequence:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.Data()
		}
		return list
	case Mapping:
		m := &data.Map{}
		for _, p := range n.pairs {
			m.Set(p.Key.saltKey(), p.Value.Data())
		}
		return m
	}
	return nil
}

// saltKey gives a key as a scalar that maps can have.
func (n *Node) saltKey() any {
	switch v := n.Data().(type) {
	case nil, bool, int64, float64, string:
		return v
	}
	return n.raw.Value
}

// saltScalar gives the value of a scalar by its tag, or by its looks when it is plain.
func (n *Node) saltScalar() (v any, ok bool) {
	raw, text := n.raw, n.raw.Value
	switch tag := raw.ShortTag(); {
	case raw.Style&yaml.TaggedStyle == 0 && tag != "!":
		if raw.Style == 0 {
			return resolve(text), true
		}
		return text, true
	case tag == "!!int":
		return integer(text)
	case tag == "!!float":
		if f, ok := float(text); ok {
			return f, true
		}
		i, ok := integer(text)
		return i, ok
	case tag == "!!bool":
		b, ok := bools[strings.ToLower(text)]
		return b, ok
	case tag == "!!null":
		return nil, true
	case tag == "!!binary":
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		return string(decoded), err == nil
	}
	return text, true
}

// saltTags are the tags that Salt knows, by the kind of node.
var saltTags = map[yaml.Kind][]string{
	yaml.ScalarNode: {
		"!", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!binary", "!!merge", "!!python/unicode",
	},
	yaml.SequenceNode: {"!", "!!seq"},
	yaml.MappingNode:  {"!", "!!map", "!!omap"},
}

// saltScalarNode decides what kind a scalar of Salt's is.
func (c *converter) saltScalarNode(n *Node) {
	n.kind = Scalar
	v, ok := n.saltScalar()
	switch {
	case !ok:
		c.fail(n.raw, "", "%q is no %s", n.raw.Value, strings.TrimPrefix(n.raw.ShortTag(), "!!"))
	case v == nil:
		n.kind = Null
	}
}
