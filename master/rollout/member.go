package rollout

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Expand replaces {id}, {grains.NAME} and {tags.NAME} in text by what the minion has; of a list the first item. A
// grain's NAME may go down into maps with dots. An unknown name is an error.
func Expand(text string, m fleet.Minion) (string, error) {
	var unknown []string
	var out strings.Builder
	for rest := text; rest != ""; {
		end := strings.IndexByte(rest, '}')
		begin := strings.LastIndexByte(rest[:max(end, 0)], '{')
		switch {
		case end < 0:
			out.WriteString(rest)
			rest = ""
			continue
		case begin < 0:
			out.WriteString(rest[:end+1])
		default:
			value, ok := lookup(rest[begin+1:end], m)
			if !ok {
				unknown = append(unknown, rest[begin:end+1])
			}
			out.WriteString(rest[:begin])
			out.WriteString(value)
		}
		rest = rest[end+1:]
	}
	if len(unknown) > 0 {
		return "", fmt.Errorf("minion %s has no value for %s in %q", m.ID, strings.Join(unknown, ", "), text)
	}
	return out.String(), nil
}

func lookup(name string, m fleet.Minion) (string, bool) {
	kind, key, _ := strings.Cut(name, ".")
	switch kind {
	case "id":
		return string(m.ID), key == ""
	case "tags":
		v, ok := m.Tags[key]
		return v, ok
	case "grains":
		return grain(map[string]any(m.Grains), key)
	default:
		return "", false
	}
}

func grain(in any, key string) (string, bool) {
	for part := range strings.SplitSeq(key, ".") {
		node, ok := in.(map[string]any)
		if !ok {
			return "", false
		}
		if in, ok = node[part]; !ok {
			return "", false
		}
	}
	if list, ok := in.([]any); ok && len(list) > 0 {
		in = list[0]
	}
	switch v := in.(type) {
	case string, bool, int, int64, uint64, float64:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}

// MemberOf says how a minion is known in its pool.
func MemberOf(pool fleet.PoolSpec, m fleet.Minion) (balancer.Member, error) {
	name, err := Expand(cmp.Or(pool.Member, "{id}"), m)
	if err != nil {
		return balancer.Member{}, fmt.Errorf("balancer.member: %w", err)
	}
	address, err := Expand(pool.Address, m)
	if err != nil {
		return balancer.Member{}, fmt.Errorf("balancer.address: %w", err)
	}
	return balancer.Member{Name: name, Address: address}, nil
}
