// Package filters has the filters and tests that Salt adds to Jinja's, under Salt's names and with its answers.
package filters

import (
	"maps"
	"strings"

	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// table is a family of filters by their names.
type table = map[string]jinja.Builtin

// All are the filters. The map is the caller's.
func All() map[string]jinja.Builtin {
	all := table{}
	for _, family := range []table{
		serializing(), matching(), hashing(), lists(), iterating(), texts(), numbers(), networks(), querying(), dicts(), dates(), host(),
	} {
		maps.Copy(all, family)
	}
	return all
}

// Tests are the tests. The map is the caller's.
func Tests() map[string]jinja.Builtin {
	return table{
		"list": filter("value", func(_ *jinja.Call, b py.Bound) any { _, ok := b[0].(*py.List); return ok }),
		"match": filter("txt rgx ignorecase? multiline?", func(c *jinja.Call, b py.Bound) any {
			m, err := compiled(c, b).Match(py.MustText(b[0]))
			must(err)
			return m != nil
		}),
	}
}

// filter makes a Builtin whose parameters are words of one text.
func filter(params string, run func(c *jinja.Call, b py.Bound) any) jinja.Builtin {
	return jinja.Builtin{Params: strings.Fields(params), Run: run}
}

// must raises an error.
func must(err error) {
	if err != nil {
		panic(&py.Exception{Kind: "ValueError", Message: err.Error(), Err: err})
	}
}

// compiled compiles the expression of a filter whose second to fourth parameters are that and its flags.
func compiled(c *jinja.Call, b py.Bound) *regex.Regexp {
	flags := b[len(b)-2:]
	var f regex.Flags
	if flags.Bool(c.Run, 0, false) {
		f |= regex.IgnoreCase
	}
	if flags.Bool(c.Run, 1, false) {
		f |= regex.Multiline
	}
	expr := py.MustText(b[1])
	c.Step(1000 + 100*len(expr))
	re, err := regex.Compile(expr, f)
	must(err)
	return re
}

func matching() table {
	groups := func(find func(*regex.Regexp, string) (*regex.Match, error)) jinja.Builtin {
		return filter("txt rgx ignorecase? multiline?", func(c *jinja.Call, b py.Bound) any {
			m, err := find(compiled(c, b), py.MustText(b[0]))
			must(err)
			if m == nil {
				return nil
			}
			out := make(py.Tuple, m.Groups())
			for i := range out {
				if text, ok := m.Group(i + 1); ok {
					out[i] = text
				}
			}
			return out
		})
	}
	return table{
		"regex_match":  groups((*regex.Regexp).Match),
		"regex_search": groups((*regex.Regexp).Search),
		"regex_replace": filter("txt rgx val ignorecase? multiline?", func(c *jinja.Call, b py.Bound) any {
			text := py.MustText(b[0])
			out, n, err := compiled(c, b).Sub(py.MustText(b[2]), text, 0)
			must(err)
			c.Alloc(len(out) + 64*n)
			return out
		}),
		"regex_escape": filter("value", func(_ *jinja.Call, b py.Bound) any { return regex.Escape(py.MustText(b[0])) }),
	}
}
