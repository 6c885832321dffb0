// Package exclude matches paths against rsync's exclude patterns. It is pure.
//
//	*.log        a name, at any depth
//	/var/cache   from the top only
//	logs/        directories only
//	conf/*.local the end of a path, at any depth
//	**           any names, also over slashes; *, ? and [a-z] stay inside a name
//	dir/***      dir and all in it
//
// What lies in an excluded directory is excluded too. A backslash takes away the next character's meaning.
package exclude

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Patterns are compiled patterns. The zero value matches nothing. Its methods may be called concurrently.
type Patterns []pattern

type pattern struct {
	re  *regexp.Regexp
	dir bool
}

// Check reports what is wrong with a pattern.
func Check(text string) error {
	_, err := compile(text)
	return err
}

// Compile compiles patterns; their order has no meaning.
func Compile(texts []string) (Patterns, error) {
	out := make(Patterns, 0, len(texts))
	for _, text := range texts {
		p, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// Match reports whether a pattern names the path itself, which is clean, relative and slash-separated. A caller that walks
// a tree does not go into what matches; Excludes is for one that does not walk.
func (l Patterns) Match(name string, isDir bool) bool {
	for _, p := range l {
		if (isDir || !p.dir) && p.re.MatchString("/"+name) {
			return true
		}
	}
	return false
}

// Excludes reports whether the path or a directory above it matches.
func (l Patterns) Excludes(name string, isDir bool) bool {
	for i := range len(name) {
		if name[i] == '/' && l.Match(name[:i], true) {
			return true
		}
	}
	return l.Match(name, isDir)
}

func compile(text string) (pattern, error) {
	body, dir := strings.CutSuffix(trimAll(text), "/") // what is in an excluded directory is excluded anyway
	switch {
	case strings.Trim(body, "/") == "":
		return pattern{}, errors.New("it names nothing")
	case strings.HasPrefix(body, "+ "), strings.HasPrefix(body, "- "), strings.HasPrefix(body, "!"):
		return pattern{}, errors.New("a pattern is wanted, not a rule with a prefix")
	case strings.ContainsAny(body, "\x00\n"):
		return pattern{}, errors.New("it has a character that no path has")
	}
	expr, err := translate(strings.TrimPrefix(body, "/"))
	if err != nil {
		return pattern{}, err
	}
	start := "/(?:.*/)?"
	if strings.HasPrefix(body, "/") {
		start = "/"
	}
	re, err := regexp.Compile("(?s)^" + start + expr + "$")
	if err != nil {
		return pattern{}, errors.New("it is malformed")
	}
	return pattern{re, dir}, nil
}

// trimAll makes dir/*** to dir/.
func trimAll(text string) string {
	if strings.HasSuffix(text, "/***") {
		return strings.TrimSuffix(text, "***")
	}
	return text
}

func translate(p string) (string, error) {
	var b strings.Builder
	for p != "" {
		n := 1
		switch {
		case strings.HasPrefix(p, "**"):
			n = len(p) - len(strings.TrimLeft(p, "*"))
			b.WriteString(".*")
		case p[0] == '*':
			b.WriteString("[^/]*")
		case p[0] == '?':
			b.WriteString("[^/]")
		case p[0] == '[':
			end := strings.IndexByte(p[min(2, len(p)):], ']')
			if end < 0 {
				return "", errors.New("[ has no ]")
			}
			n = end + 3
			class := strings.ReplaceAll(p[1:n-1], `\`, `\\`)
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(class, "[", `\[`) + "]")
		case p[0] == '\\' && len(p) > 1:
			n = 2
			b.WriteString(regexp.QuoteMeta(p[1:2]))
		default:
			b.WriteString(regexp.QuoteMeta(p[:1]))
		}
		p = p[n:]
	}
	return b.String(), nil
}
