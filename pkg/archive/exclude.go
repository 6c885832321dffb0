package archive

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// glob is one exclude pattern, compiled.
type glob struct {
	re      *regexp.Regexp
	dirOnly bool
	include bool // it began with "!": what it matches is packed after all
}

type globs []glob

// CheckExclude says whether Pack would take the patterns, which follow gitignore: "*.log" anywhere, "/top" and "a/b" from
// the root, "dir/" directories only, "**" any number of directories, "[a-z]", "?", "\" quotes, "!" includes again. The
// last pattern that matches decides; nothing is included again below an excluded directory.
func CheckExclude(patterns []string) error {
	_, err := compile(patterns)
	return err
}

func compile(patterns []string) (globs, error) {
	var out globs
	for _, pattern := range patterns {
		p := strings.TrimRight(pattern, " ")
		if p == "" || strings.HasPrefix(p, "#") {
			continue
		}
		var g glob
		p, g.include = strings.CutPrefix(p, "!")
		p, g.dirOnly = strings.CutSuffix(p, "/")
		re, err := translate(p)
		if err != nil || p == "" {
			return nil, fmt.Errorf("exclude pattern %q is not a gitignore-like glob", pattern)
		}
		g.re = re
		out = append(out, g)
	}
	return out, nil
}

// excludes reports whether the entry with this slash-separated name is left out.
func (g globs) excludes(name string, dir bool) bool {
	out := false
	for _, one := range g {
		if (dir || !one.dirOnly) && one.re.MatchString(name) {
			out = !one.include
		}
	}
	return out
}

// View is a tree as Pack would take it: what the patterns leave out is not there.
func View(tree fs.FS, exclude []string) (fs.FS, error) {
	skip, err := compile(exclude)
	return view{tree, skip}, err
}

type view struct {
	tree fs.FS
	skip globs
}

// Open implements fs.FS.
func (v view) Open(name string) (fs.File, error) {
	for at, dir := name, false; at != "."; at, dir = path.Dir(at), true {
		if v.skip.excludes(at, dir) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	return v.tree.Open(name)
}

// translate makes a regular expression of a glob without its leading "!" and its trailing "/".
func translate(p string) (*regexp.Regexp, error) {
	var re strings.Builder
	re.WriteString(`(?s)\A`)
	if !strings.Contains(p, "/") {
		re.WriteString(`(?:.*/)?`)
	}
	p = strings.TrimPrefix(p, "/")
	for start := true; p != ""; {
		width, text := 1, ""
		switch {
		case start && strings.HasPrefix(p, "**/"):
			width, text = 3, `(?:.*/)?`
		case start && p == "**":
			width, text = 2, `.*`
		case p[0] == '*':
			text = `[^/]*`
		case p[0] == '?':
			text = `[^/]`
		case p[0] == '[':
			width, text = class(p)
		case p[0] == '\\' && len(p) > 1:
			width, text = 2, regexp.QuoteMeta(p[1:2])
		default:
			text = regexp.QuoteMeta(p[:1])
		}
		if width == 0 {
			return nil, fmt.Errorf("unclosed [ in %q", p)
		}
		re.WriteString(text)
		start = p[width-1] == '/'
		p = p[width:]
	}
	re.WriteString(`\z`)
	return regexp.Compile(re.String())
}

// class translates the bracket expression that p begins with, and tells its width; 0 when it has no end.
func class(p string) (width int, re string) {
	end := 1
	if end < len(p) && (p[end] == '!' || p[end] == '^') {
		end++
	}
	first := end
	for end < len(p) && (p[end] != ']' || end == first) {
		end++
	}
	if end >= len(p) {
		return 0, ""
	}
	body := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(p[first:end])
	if first > 1 {
		return end + 1, `[^/` + body + `]`
	}
	return end + 1, `[` + body + `]`
}
