package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// The limits of one file. They are far above what people write and far below what hurts.
const (
	MaxBytes = 1 << 20
	MaxDepth = 64
	MaxNodes = 100_000 // after aliases and merge keys are expanded

	maxErrors = 100 // told of one file
)

// Parse reads one document. The file's name is used in complaints only. An empty document is a Node of the kind Null. The
// error is of type Errors.
func Parse(file string, data []byte) (*Node, error) {
	src := &source{file: file}
	if len(data) > MaxBytes {
		return nil, Errors{src.errorAt(0, 0, fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), MaxBytes), "")}
	}
	return parse(src, data, MaxNodes)
}

// LastWins reads one document like Parse, but takes the last of several keys of one name, as most parsers do, and tells of
// each that took another's place.
func LastWins(file string, data []byte) (*Node, []*Error, error) {
	src := &source{file: file, lastWins: true}
	if len(data) > MaxBytes {
		return nil, nil, Errors{src.errorAt(0, 0, fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), MaxBytes), "")}
	}
	n, err := parse(src, data, MaxNodes)
	return n, src.twice, err
}

func parse(src *source, data []byte, most int) (*Node, error) {
	src.lines = strings.Split(string(data), "\n")
	raw, err := load(src, data)
	if err != nil {
		return nil, Errors{err}
	}
	c := converter{src: src, most: most, open: map[*yaml.Node]bool{}}
	n := c.convert(raw, 0)
	if err := Join(c.errs...); err != nil {
		return nil, err
	}
	return n, nil
}

func load(src *source, data []byte) (*yaml.Node, *Error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(MaxDepth), loaderlimits.AliasNone())))
	if err != nil {
		return nil, src.errorAt(0, 0, err.Error(), "")
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}, nil
	case err != nil:
		return nil, syntaxError(src, err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, src.errorAt(second.Line, second.Column, "a second document begins here", "keep one document per file")
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(src, err)
	}
	return &doc, nil
}

func syntaxError(src *source, err error) *Error {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return src.errorAt(0, 0, err.Error(), "")
	}
	message := le.Message
	if src.salt {
		message = strings.Replace(message, "unknown anchor", "found undefined alias", 1)
	}
	if le.ContextMsg != "" {
		message = le.ContextMsg + ": " + message
	}
	return src.errorAt(le.Mark.Line, le.Mark.Column, message, "")
}

// converter makes Nodes of the library's nodes and keeps the limits that the library does not have for these.
type converter struct {
	src   *source
	errs  []error
	nodes int
	most  int                 // nodes
	full  bool                // no more is looked at
	open  map[*yaml.Node]bool // the nodes being converted, to find an alias inside its own anchor
}

func (c *converter) fail(raw *yaml.Node, hint, format string, args ...any) {
	c.errs = append(c.errs, c.src.errorAt(raw.Line, raw.Column, fmt.Sprintf(format, args...), hint))
	c.full = c.full || len(c.errs) >= maxErrors
}

func (c *converter) convert(raw *yaml.Node, depth int) *Node {
	n := &Node{src: c.src, raw: raw, kind: Null}
	c.nodes++
	switch {
	case c.full:
		return n
	case c.nodes > c.most:
		c.full = true
		c.fail(raw, "", "the file has more than %d values, its aliases expanded", c.most)
		return n
	case depth > MaxDepth:
		c.fail(raw, "", "values are nested more than %d deep", MaxDepth)
		return n
	case c.open[raw]:
		c.fail(raw, "", "the anchor %q contains itself", raw.Anchor)
		return n
	}
	c.open[raw] = true
	defer delete(c.open, raw)
	switch raw.Kind {
	case yaml.DocumentNode:
		if len(raw.Content) == 1 {
			return c.convert(raw.Content[0], depth)
		}
	case yaml.AliasNode:
		return c.convert(raw.Alias, depth+1)
	case yaml.ScalarNode:
		c.scalar(n)
	case yaml.SequenceNode:
		n.kind = Sequence
		c.checkTag(raw, "!!seq")
		for _, item := range raw.Content {
			n.items = append(n.items, c.convert(item, depth+1))
		}
	case yaml.MappingNode:
		n.kind = Mapping
		c.checkTag(raw, "!!map")
		c.mapping(n, depth)
	}
	return n
}

func (c *converter) scalar(n *Node) {
	if c.src.salt {
		c.checkTag(n.raw)
		c.saltScalarNode(n)
		return
	}
	c.checkTag(n.raw, "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge")
	if n.raw.ShortTag() != "!!null" {
		n.kind = Scalar
	}
}

func (c *converter) checkTag(raw *yaml.Node, known ...string) {
	tag, shown := raw.ShortTag(), raw.ShortTag()
	if c.src.salt {
		known, shown = saltTags[raw.Kind], raw.LongTag()
	}
	if !slices.Contains(known, tag) {
		c.fail(raw, "", "the tag %s is not supported here", shown)
	}
}

func (c *converter) mapping(n *Node, depth int) {
	seen := map[any]*Node{}
	var merges []*Node
	for i := 0; i+1 < len(n.raw.Content) && !c.full; i += 2 {
		key, value := c.convert(n.raw.Content[i], depth+1), n.raw.Content[i+1]
		if key.raw.ShortTag() == "!!merge" {
			merges = append(merges, c.merged(value, depth+1)...)
			continue
		}
		p := Pair{Key: key, Value: c.convert(value, depth+1)}
		id := key.identity()
		switch first := seen[id]; {
		case key.kind == Sequence || key.kind == Mapping:
			c.fail(key.raw, "", "%s cannot be a key", key.kind)
		case first != nil && c.src.lastWins:
			c.src.twice = append(c.src.twice, c.src.errorAt(key.raw.Line, key.raw.Column,
				fmt.Sprintf(duplicateKey+"%q: it takes the place of the one in line %d", key.raw.Value, first.raw.Line), ""))
			n.pairs = append(slices.DeleteFunc(n.pairs, func(p Pair) bool { return p.Key == first }), p)
			seen[id] = key
		case first != nil:
			c.fail(key.raw, fmt.Sprintf("it is there already in line %d", first.raw.Line), duplicateKey+"%q", key.raw.Value)
		default:
			seen[id] = key
			n.pairs = append(n.pairs, p)
		}
	}
	var merged []Pair
	for _, m := range merges {
		for _, p := range m.pairs {
			if id := p.Key.identity(); seen[id] == nil {
				seen[id] = p.Key
				merged = append(merged, p)
			}
		}
	}
	if c.src.salt {
		n.pairs = append(merged, n.pairs...)
	} else {
		n.pairs = append(n.pairs, merged...)
	}
}

// identity is what tells a key from others: as it is written, or for Salt as it is read.
func (n *Node) identity() any {
	if n.src.salt && n.kind != Sequence && n.kind != Mapping {
		return n.saltKey()
	}
	return n.raw.Value
}

// merged returns the mappings that a merge key names: one, or a list of them where an earlier one wins.
func (c *converter) merged(value *yaml.Node, depth int) []*Node {
	v := c.convert(value, depth)
	from := []*Node{v}
	if v.kind == Sequence {
		from = v.items
	}
	for _, m := range from {
		if m.kind != Mapping {
			c.fail(value, "", "<< merges a mapping or a list of mappings, not %s", m.kind)
		}
	}
	return from
}
