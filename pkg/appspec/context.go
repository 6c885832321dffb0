package appspec

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/yaml"
)

// Context is a SELinux context.
type Context struct {
	Type  string
	User  string // empty for no change
	Range string // such as s0-s3:c1,c4.c9; empty for no change
}

// context takes the user by the key of the guide, user, and by the one that the agent reads, name.
func (p *parser) context(n *yaml.Node) *Context {
	if n.Kind() == yaml.Null {
		return nil
	}
	if !p.mapping(n, "context") {
		return nil
	}
	c := &Context{Type: p.text(n, "type"), User: p.text(n, "name"), Range: p.text(n, "range")}
	if c.User == "" {
		c.User = p.text(n, "user")
	}
	word := regexp.MustCompile(`^[A-Za-z0-9_.]+$`)
	switch {
	case !word.MatchString(c.Type):
		p.fail(n, "the entry specifies an invalid context type (%s)", c.Type)
	case c.User != "" && !word.MatchString(c.User):
		p.fail(n, "invalid SELinux user (%s)", c.User)
	case c.Range != "" && !validRange(c.Range):
		p.fail(n.Get("range"), "invalid SELinux range specified (%s): it must be like s0 or s0-s3:c1,c4.c9", c.Range)
	}
	return c
}

func validRange(text string) bool {
	levels, categories, has := strings.Cut(text, ":")
	low, high, isRange := strings.Cut(levels, "-")
	from, ok := number(low, "s")
	if !ok {
		return false
	}
	if to, ok := number(high, "s"); isRange && (!ok || to < from) {
		return false
	}
	seen := map[int]bool{}
	for part := range strings.SplitSeq(categories, ",") {
		low, high, isRange := strings.Cut(part, ".")
		from, ok := number(low, "c")
		to := from
		if isRange && ok {
			to, ok = number(high, "c")
		}
		if has && (!ok || to < from || to > 1023) {
			return false
		}
		for c := from; has && c <= to; c++ {
			if seen[c] {
				return false
			}
			seen[c] = true
		}
	}
	return true
}

func number(text, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(text, prefix)
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), ok && err == nil
}
