package file

import (
	"path"
	"strings"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/states/args"
)

// pattern is one of include_pat and exclude_pat: globs, or regular expressions after E@. A nil pattern matches nothing.
type pattern struct{ list []*regex.Regexp }

func readPattern(a *args.Reader, name string) *pattern {
	texts := a.List(name)
	if len(texts) == 0 {
		return nil
	}
	p := &pattern{}
	for _, text := range texts {
		expr, isExpr := strings.CutPrefix(text, "E@")
		var flags regex.Flags
		if !isExpr {
			expr, flags = fnmatch(text), regex.DotAll
		}
		re, err := regex.Compile(expr, flags)
		if err != nil {
			a.Wrong("%s: %v", name, err)
			continue
		}
		p.list = append(p.list, re)
	}
	return p
}

func (p *pattern) matches(rel string) bool {
	if p == nil {
		return false
	}
	for _, re := range p.list {
		if ok, err := found(re, rel); err == nil && ok {
			return true
		}
	}
	return false
}

// picked reports whether a path is included and not excluded; no include pattern includes all.
func picked(rel string, include, exclude *pattern) bool {
	return (include == nil || include.matches(rel)) && !exclude.matches(rel)
}

// fnmatch makes a regular expression of a glob as Python's fnmatch reads it: a star matches slashes too.
func fnmatch(glob string) string {
	var b strings.Builder
	b.WriteString(`\A`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			end := strings.IndexByte(glob[min(i+2, len(glob)):], ']')
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			set := glob[i+1 : i+2+end]
			if rest, not := strings.CutPrefix(set, "!"); not {
				set = "^" + rest
			}
			b.WriteString("[" + strings.ReplaceAll(set, `\`, `\\`) + "]")
			i += 2 + end
		default:
			if c < utf8.RuneSelf {
				b.WriteString(regex.Escape(string(rune(c))))
			} else {
				b.WriteByte(c) // a part of a character
			}
		}
	}
	return b.String() + `\Z`
}

// tooDeep reports whether a relative path is deeper than max directories; -1 is no limit.
func tooDeep(rel string, depth int64) bool {
	return depth >= 0 && int64(strings.Count(path.Clean(rel), "/")) > depth
}
