package target

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// nested matches name:value, name:inner:value and so on in nested data. It is Salt's subdict_match: since names and values
// may hold the delimiter, every way to take the expression apart is tried. A rest of the expression is named by the index
// of its first part.
type nested struct {
	parts     []string
	delimiter string
	values    []func(string) bool // whether a value matches the rest from that part on; nil: that rest can match none
	patterns  []*pattern          // that values are compared with
}

// nestedMatch makes the matcher of G@, P@, I@ and J@.
func nestedMatch(kind, pattern, delimiter string) (matcher, *patternError) {
	parts, err := splitParts(kind, "name", pattern, delimiter)
	if err != nil {
		return nil, err
	}
	stars := 0
	for _, part := range parts[:len(parts)-1] {
		if part == "*" {
			stars++
		}
	}
	if stars > maxStars {
		return nil, &patternError{0, fmt.Sprintf("more than %d keys are *", maxStars)}
	}
	n := &nested{parts: parts, delimiter: delimiter, values: make([]func(string) bool, len(parts))}
	if err := n.compile(kind == "P" || kind == "J"); err != nil {
		return nil, err
	}
	return func(s *Subject) bool {
		var ok bool
		if kind == "G" || kind == "P" {
			ok = n.find(s.Grains, 0)
		} else {
			ok = n.find(s.Pillar, 0)
		}
		for _, p := range n.patterns {
			s.note(p)
		}
		return ok
	}, nil
}

// splitParts takes name:value apart.
func splitParts(kind, name, pattern, delimiter string) ([]string, *patternError) {
	parts := strings.Split(pattern, delimiter)
	switch {
	case len(parts) < 2:
		return nil, &patternError{len(pattern), fmt.Sprintf("expected %s%svalue; %s@%s%s* is any value", name, delimiter, kind, pattern, delimiter)}
	case len(parts) > maxParts:
		return nil, &patternError{0, fmt.Sprintf("more than %d parts", maxParts)}
	default:
		return parts, nil
	}
}

// compile prepares the comparison with each rest. Not every rest need be a valid regular expression (the end of a(:b) is
// not), but the longest one that does not begin with the key * must be.
func (n *nested) compile(regex bool) *patternError {
	must, offset := regex, 0
	for i, part := range n.parts {
		rest := n.join(i, len(n.parts))
		switch {
		case i == 0: // Always a name.
		case !regex:
			g := newGlob(strings.ToLower(rest))
			n.values[i] = func(v string) bool { return g.match(strings.ToLower(v)) }
		case part == "*": // Always a key.
		default:
			re, err := compile(rest, true)
			if err != nil && must {
				err.offset += offset
				return err
			}
			if must = false; err == nil {
				n.values[i] = re.match
				n.patterns = append(n.patterns, re)
			}
		}
		offset += len(part) + len(n.delimiter)
	}
	return nil
}

func (n *nested) join(from, to int) string { return strings.Join(n.parts[from:to], n.delimiter) }

// find looks in data for the rest from a part on: some of its parts are the name, those after them the value.
func (n *nested) find(data any, from int) bool {
	for at := len(n.parts) - 1; at > from; at-- {
		if at == from+1 && n.parts[from] == "*" {
			return n.inside(data, from)
		}
		if value, ok := n.walk(data, from, at); ok && n.inside(value, at) {
			return true
		}
	}
	return false
}

// inside compares what was found with the rest from a part on.
func (n *nested) inside(found any, from int) bool {
	if m, ok := asMap(found); ok {
		return len(m) > 0 && n.insideMap(m, from)
	}
	list, ok := asList(found)
	if !ok {
		return n.value(found, from)
	}
	for _, member := range list {
		if m, ok := asMap(member); ok && n.insideMap(m, from) {
			return true
		}
		if n.value(member, from) {
			return true
		}
	}
	return false
}

func (n *nested) insideMap(m map[string]any, from int) bool {
	star := n.parts[from] == "*"
	if star && from == len(n.parts)-1 {
		return true
	}
	if star {
		from++
	}
	if _, ok := m[n.join(from, len(n.parts))]; ok || n.find(m, from) {
		return true
	}
	if !star {
		return false
	}
	for _, v := range m {
		if n.insideAny(v, from) {
			return true
		}
	}
	return false
}

// insideAny is inside for the values below a *: the maps in a list are not looked into.
func (n *nested) insideAny(v any, from int) bool {
	if m, ok := asMap(v); ok {
		return n.insideMap(m, from)
	}
	list, ok := asList(v)
	if !ok {
		return n.value(v, from)
	}
	for _, member := range list {
		if n.value(member, from) {
			return true
		}
	}
	return false
}

func (n *nested) value(v any, from int) bool { return n.values[from] != nil && n.values[from](text(v)) }

// walk follows the parts [from:to) as keys; in a list, a number is an index and a name a key of its first map that has it.
func (n *nested) walk(data any, from, to int) (any, bool) {
	for _, key := range n.parts[from:to] {
		var ok bool
		if list, isList := asList(data); isList {
			data, ok = step(list, key)
		} else if m, isMap := asMap(data); isMap {
			data, ok = m[key]
		}
		if !ok {
			return nil, false
		}
	}
	return data, true
}

func step(list []any, key string) (any, bool) {
	for _, member := range list {
		if m, ok := asMap(member); ok {
			if v, ok := m[key]; ok {
				return v, true
			}
		}
	}
	i, err := strconv.Atoi(key)
	if i < 0 {
		i += len(list)
	}
	if err != nil || i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// text is a value as people write it in a target. Numbers that are whole have no point, whatever decoded them.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return "None"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

func asMap(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, true
	case fleet.Grains:
		return v, true
	case map[string]string:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[key] = value
		}
		return m, true
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[text(key)] = value
		}
		return m, true
	default:
		return nil, false
	}
}

func asList(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list, true
	default:
		return nil, false
	}
}
