package yaml

import "strings"

// From tells n's document which template made it. Places of nodes are then those in the template, as far as a line is in it
// once; of others the line is the document's, and complaints say so. It is to be called before n is shared.
func (n *Node) From(template string) {
	if n == nil || strings.Join(n.src.lines, "\n") == template {
		return
	}
	n.src.origin = map[string]int{}
	for i, line := range strings.Split(template, "\n") {
		if _, twice := n.src.origin[line]; twice {
			n.src.origin[line] = 0
		} else {
			n.src.origin[line] = i + 1
		}
	}
}

// place gives the line of the template that a line of the document comes from, if that is known.
func (s *source) place(line int) (at int, ok bool) {
	if s.origin == nil || line < 1 || line > len(s.lines) {
		return line, true
	}
	if at := s.origin[s.lines[line-1]]; at > 0 {
		return at, true
	}
	return line, false
}
