package data

import (
	"fmt"
	"slices"
	"strings"
)

// Strategy says what becomes of two maps' values at the same key. The words are Salt's.
type Strategy string

// The strategies. The zero Strategy is Smart, which is Recurse here; so is None, which concerns environments only.
const (
	Smart     Strategy = "smart"
	Recurse   Strategy = "recurse"   // maps are merged at any depth, anything else is replaced
	Overwrite Strategy = "overwrite" // replaced
	Aggregate Strategy = "aggregate" // replaced too: without yamlex there is nothing that is marked to be aggregated
	List      Strategy = "list"      // both, as a list of two
	None      Strategy = "none"
)

// Valid says what is wrong with a strategy's name.
func (s Strategy) Valid() error {
	known := []string{string(Smart), string(Recurse), string(Overwrite), string(Aggregate), string(List), string(None)}
	if s == "" || slices.Contains(known, string(s)) {
		return nil
	}
	return fmt.Errorf("unknown merging strategy %q; known: %s", string(s), strings.Join(known, ", "))
}

// Merge gives a new Map of what is in both; over wins. With lists, the Recurse strategy appends to a list what over's
// list has more, instead of replacing it.
func Merge(under, over *Map, strategy Strategy, lists bool) *Map {
	out := copyMap(under)
	switch strategy {
	case Overwrite, Aggregate:
		for k, v := range over.All() {
			out.Set(k, Copy(v))
		}
	case List:
		for k, v := range over.All() {
			if mine, both := out.Get(k); both {
				v = []any{mine, v}
			}
			out.Set(k, Copy(v))
		}
	default:
		update(out, over, lists)
	}
	return out
}

// update merges over into dest. It keeps nothing of over's.
func update(dest, over *Map, lists bool) {
	for k, v := range over.All() {
		mine, _ := dest.Get(k)
		switch v := v.(type) {
		case *Map:
			if m, ok := mine.(*Map); ok {
				update(m, v, lists)
				continue
			}
		case []any:
			if l, ok := mine.([]any); ok && lists {
				dest.Set(k, Union(l, v))
				continue
			}
		}
		dest.Set(k, Copy(v))
	}
}

// Union is a list followed by the members of another that it does not have.
func Union(list, more []any) []any {
	out := slices.Clone(list)
	for _, v := range more {
		if !slices.ContainsFunc(out, func(have any) bool { return Equal(have, v) }) {
			out = append(out, Copy(v))
		}
	}
	return out
}

// Copy is a value that shares no Map and no list with the one given.
func Copy(value any) any {
	switch v := value.(type) {
	case *Map:
		return copyMap(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Copy(v[i])
		}
		return out
	}
	return value
}

func copyMap(m *Map) *Map {
	out := &Map{}
	for k, v := range m.All() {
		out.Set(k, Copy(v))
	}
	return out
}
