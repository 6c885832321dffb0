package target

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// match makes the matcher of one word that is no operator.
func match(w word) (matcher, *SyntaxError) {
	kind, delimiter, pattern, ok := kindOf(w.text)
	if !ok {
		return idGlob(w)
	}
	if pattern == "" {
		return nil, w.fail(len(w.text), "%s@ needs something after the @", kind)
	}
	at := len(w.text) - len(pattern)
	fail := func(err *patternError) *SyntaxError { return w.fail(at+err.offset, "%s", err.message) }
	var m matcher
	var err *patternError
	switch kind {
	case "L":
		m = idList(strings.Split(pattern, ","))
	case "E":
		m, err = idRegexp(pattern)
	case "S":
		m, err = address(pattern)
	case "T":
		m, err = tag(pattern, delimiter)
	default: // G, P, I, J
		m, err = nestedMatch(kind, pattern, delimiter)
	}
	if err != nil {
		return nil, fail(err)
	}
	return m, nil
}

// kinds of matches that take a delimiter between the letter and the @; the others take none.
const (
	delimited = "GPIJT"
	plain     = "LESN" // N@group is in place before; only N@ alone gets here
)

// kindOf takes a word like G@os:Ubuntu or G|@os|Ubuntu apart.
func kindOf(text string) (kind, delimiter, pattern string, ok bool) {
	if len(text) < 2 || !strings.Contains(delimited+plain, text[:1]) {
		return "", "", "", false
	}
	if text[1] == '@' && !strings.HasPrefix(text[2:], "@") {
		return text[:1], ":", text[2:], true
	}
	_, size := utf8.DecodeRuneInString(text[1:])
	if pattern, ok = strings.CutPrefix(text[1+size:], "@"); !ok || !strings.Contains(delimited, text[:1]) {
		return text[:1], ":", text[2:], text[1] == '@'
	}
	return text[:1], text[1 : 1+size], pattern, true
}

// patternError is what is wrong with a pattern, and where in it, in bytes.
type patternError struct {
	offset  int
	message string
}

// idGlob makes the matcher of a bare word. Words that cannot be meant as an id are refused: they would match nobody, and
// nobody would be told why.
func idGlob(w word) (matcher, *SyntaxError) {
	if w.text == "" {
		return nil, w.fail(0, "expected a match instead of an empty word")
	}
	if i := strings.IndexAny(w.text, "()"); i >= 0 {
		return nil, w.fail(i, "an id has no %q; between matches stands an operator", w.text[i:i+1])
	}
	if i := strings.Index(w.text, "@"); i >= 0 {
		return nil, w.fail(0, "unknown match %q; known: L@ E@ G@ P@ T@ N@ I@ J@ S@ and globs on the id", w.text[:i+1])
	}
	g := newGlob(w.text)
	return func(s *Subject) bool { return g.match(string(s.ID)) }, nil
}

func idList(ids []string) matcher {
	set := make(map[fleet.MinionID]bool, len(ids))
	for _, id := range ids {
		set[fleet.MinionID(id)] = true
	}
	return func(s *Subject) bool { return s.ID != "" && set[s.ID] }
}

// tag matches tag:value. Tags are flat, so a name may hold the delimiter: each place that it stands at is tried.
func tag(pattern, delimiter string) (matcher, *patternError) {
	parts, err := splitParts("T", "tag", pattern, delimiter)
	if err != nil {
		return nil, err
	}
	globs := make([]glob, len(parts))
	for i := range parts {
		globs[i] = newGlob(strings.ToLower(strings.Join(parts[i:], delimiter)))
	}
	return func(s *Subject) bool {
		for i := 1; i < len(parts); i++ {
			value, ok := s.Tags[strings.Join(parts[:i], delimiter)]
			if ok && globs[i].match(strings.ToLower(value)) {
				return true
			}
		}
		return false
	}, nil
}

// address matches an address or a network against the grains ipv4 and ipv6.
func address(pattern string) (matcher, *patternError) {
	var in func(netip.Addr) bool
	version4 := false
	if ip, err := netip.ParseAddr(pattern); err == nil {
		in, version4 = func(a netip.Addr) bool { return a == ip }, ip.Is4()
	} else {
		network, bad := parseNetwork(pattern)
		if bad != "" {
			return nil, &patternError{0, fmt.Sprintf("%q %s", pattern, bad)}
		}
		in, version4 = network.Contains, network.Addr().Is4()
	}
	grain := "ipv6"
	if version4 {
		grain = "ipv4"
	}
	return func(s *Subject) bool {
		list, ok := asList(s.Grains[grain])
		if !ok {
			list = []any{s.Grains[grain]}
		}
		return slices.ContainsFunc(list, func(v any) bool {
			text, _ := v.(string)
			ip, err := netip.ParseAddr(text)
			return err == nil && in(ip)
		})
	}, nil
}

// parseNetwork parses ADDRESS/BITS and, for IPv4, ADDRESS/NETMASK. Otherwise bad says what is wrong.
func parseNetwork(text string) (network netip.Prefix, bad string) {
	host, mask, _ := strings.Cut(text, "/")
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() {
		raw := m.As4()
		ones, size := net.IPMask(raw[:]).Size()
		if size == 0 {
			return network, "has no valid netmask"
		}
		text = fmt.Sprintf("%s/%d", host, ones)
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return network, "is neither an address nor a network"
	case network != network.Masked():
		return network, fmt.Sprintf("has host bits set; the network is %s", network.Masked())
	default:
		return network, ""
	}
}
