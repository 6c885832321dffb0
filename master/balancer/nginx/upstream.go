package nginx

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// member is one server line.
type member struct {
	name, address string
	down          bool
}

// upstream is the members of a pool, by name.
type upstream []member

const mark = " # member "

// nobody keeps an upstream that has no member valid: nginx answers 502.
const nobody = "    server unix:/run/brine-nobody.sock down;\n"

// format writes the file of a pool.
func (u upstream) format(pool string, c PoolConfig) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by brine, which reads its members' state from here. Do not edit.\nupstream %s {\n", pool)
	for _, option := range c.Options {
		fmt.Fprintf(&b, "    %s;\n", option)
	}
	for _, m := range u {
		words := []string{"    server", m.address}
		if c.Server != "" {
			words = append(words, c.Server)
		}
		if m.down {
			words = append(words, "down")
		}
		fmt.Fprintf(&b, "%s;%s%s\n", strings.Join(words, " "), mark, m.name)
	}
	if !slices.ContainsFunc(u, func(m member) bool { return !m.down }) {
		b.WriteString(nobody)
	}
	b.WriteString("}\n")
	return b.String()
}

// parse reads what format wrote.
func parse(text string) (upstream, error) {
	var u upstream
	n := 0
	for text := range strings.Lines(text) {
		n++
		directive, name, found := strings.Cut(strings.TrimRight(text, "\n"), mark)
		if !found {
			continue
		}
		words := strings.Fields(strings.TrimSuffix(directive, ";"))
		if len(words) < 2 || words[0] != "server" || !memberWord.MatchString(name) {
			return nil, fmt.Errorf("line %d is no member", n)
		}
		if _, _, err := net.SplitHostPort(words[1]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		u = append(u, member{name: name, address: words[1], down: slices.Contains(words[2:], "down")})
	}
	return u, nil
}

func (u upstream) find(name string) (member, bool) {
	i := slices.IndexFunc(u, func(m member) bool { return m.name == name })
	if i < 0 {
		return member{}, false
	}
	return u[i], true
}

// with returns the upstream with a member put in place.
func (u upstream) with(m member) upstream {
	out := slices.Clone(u)
	if i := slices.IndexFunc(out, func(o member) bool { return o.name == m.name }); i >= 0 {
		out[i] = m
		return out
	}
	out = append(out, m)
	slices.SortFunc(out, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return out
}
