package target

import "slices"

// glob is a compiled shell pattern, as Python's fnmatch reads it: * ? [a-z] [!a-z], no escapes; what is not closed stands
// for itself. Matching takes at most len(pattern) * len(text) steps.
type glob []globItem

type globItem struct {
	kind   byte // '*', '?', '[' or 0: the character lo
	lo     rune
	negate bool
	ranges [][2]rune
}

// Glob reports whether a shell pattern like web*, web? or web[0-9] matches the whole text, as Python's fnmatchcase does.
func Glob(pattern, text string) bool { return newGlob(pattern).match(text) }

func newGlob(pattern string) glob {
	p, g := []rune(pattern), glob{}
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*':
			if len(g) == 0 || g[len(g)-1].kind != '*' {
				g = append(g, globItem{kind: '*'})
			}
		case '?':
			g = append(g, globItem{kind: '?'})
		case '[':
			set, length := newSet(p[i:])
			g = append(g, set)
			i += length - 1
		default:
			g = append(g, globItem{lo: p[i]})
		}
	}
	return g
}

// newSet parses a set like [a-z] at the start of p, and returns how many characters it takes.
func newSet(p []rune) (item globItem, length int) {
	start := 1
	if start < len(p) && p[start] == '!' {
		start++
	}
	// A ] that comes first is a member of the set.
	end := slices.Index(p[min(start+1, len(p)):], ']')
	if end < 0 {
		return globItem{lo: '['}, 1
	}
	end += start + 1
	item = globItem{kind: '[', negate: start == 2}
	for i := start; i < end; i++ {
		lo, hi := p[i], p[i]
		if i+2 < end && p[i+1] == '-' {
			hi = p[i+2]
			i += 2
		}
		item.ranges = append(item.ranges, [2]rune{lo, hi})
	}
	return item, end + 1
}

func (it globItem) matches(r rune) bool {
	switch it.kind {
	case '?':
		return true
	case '[':
		in := slices.ContainsFunc(it.ranges, func(x [2]rune) bool { return x[0] <= r && r <= x[1] })
		return in != it.negate
	default:
		return r == it.lo
	}
}

// match goes back only to the last star: what an earlier one takes never needs to grow.
func (g glob) match(s string) bool {
	text := []rune(s)
	at, star, resume := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case at < len(g) && g[at].kind == '*':
			star, resume = at, i
			at++
		case at < len(g) && g[at].matches(text[i]):
			at++
			i++
		case star >= 0:
			resume++
			at, i = star+1, resume
		default:
			return false
		}
	}
	return at == len(g) || at == len(g)-1 && g[at].kind == '*'
}
