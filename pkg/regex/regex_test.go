package regex_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/regex"
)

// groups gives all groups of a match, "-" for those that took no part, or nothing for no match.
func groups(m *regex.Match) []string {
	if m == nil {
		return nil
	}
	var out []string
	for i := range m.Groups() + 1 {
		text, ok := m.Group(i)
		if !ok {
			text = "-"
		}
		out = append(out, text)
	}
	return out
}

func TestExpressionsAreThoseOfPython(t *testing.T) {
	for _, c := range []struct {
		expr, text string
		flags      regex.Flags
		want       []string // of search
		match      bool
	}{
		{`(\d+)-(?P<n>\w)?`, "a1-b", 0, []string{"1-b", "1", "b"}, false},
		{`(?P<a>x)(y)(?P<b>z)`, "xyz", 0, []string{"xyz", "x", "y", "z"}, true}, // in the order of their brackets
		{`(a)|(b)`, "b", 0, []string{"b", "-", "b"}, true},
		{`(?P<q>['"]).*?(?P=q)`, `say "hi"`, 0, []string{`"hi"`, `"`}, false},
		{`foo\Z`, "foo\n", 0, nil, false},
		{`foo$`, "foo\n", 0, []string{"foo"}, true},
		{`^b$`, "a\nb", regex.Multiline, []string{"b"}, false},
		{`A.B`, "a\nb", regex.IgnoreCase | regex.DotAll, []string{"a\nb"}, true},
		{`a{,2}b`, "aab", 0, []string{"aab"}, true},
		{`[]a[]+`, "]a[", 0, []string{"]a["}, true},
		{`[a-z-[aeiou]]`, "a]", 0, []string{"a]"}, true}, // no subtraction of sets
		{`(?<=a)b(?!c)`, "abc ab", 0, []string{"b"}, false},
		{`(?u)é+`, "éé", 0, []string{"éé"}, true},
		{"a b # comment", "ab", regex.Verbose, []string{"ab"}, true},
	} {
		re, err := regex.Compile(c.expr, c.flags)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		found, err := re.Search(c.text)
		if err != nil || !slices.Equal(groups(found), c.want) {
			t.Errorf("search %s in %q: got %q, %v; want %q", c.expr, c.text, groups(found), err, c.want)
		}
		if m, err := re.Match(c.text); err != nil || (m != nil) != c.match {
			t.Errorf("match %s in %q: got %v, %v", c.expr, c.text, m, err)
		}
	}
}

func TestSubReadsPythonsTemplates(t *testing.T) {
	for _, c := range []struct{ expr, template, text, want string }{
		{`([a-z])(\d)`, `\2\1`, "a1b2", "1a2b"},
		{`(?P<x>\w)`, `<\g<x>\g<0>\g<1>>`, "é", "<ééé>"},
		{`x*`, "-", "abxd", "-a-b--d-"},
		{`a`, `\n\\\.`, "a", "\n\\\\."},
		{`(a)|b`, `[\1]`, "ab", "[a][]"},
		{`a`, `\0`, "a", "\x00"},
	} {
		re, err := regex.Compile(c.expr, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := re.Sub(c.template, c.text, 0); err != nil || got != c.want {
			t.Errorf("%s by %s in %q: got %q, %v; want %q", c.expr, c.template, c.text, got, err, c.want)
		}
	}
	re, err := regex.Compile("(a)", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, n, err := re.Sub("x", "aaa", 2); got != "xxa" || n != 2 || err != nil {
		t.Errorf("got %q, %d, %v", got, n, err)
	}
	for _, bad := range []string{`\2`, `\g<2>`, `\g<no>`, `\g`, `\q`, `\`} {
		if got, _, err := re.Sub(bad, "a", 0); err == nil {
			t.Errorf("%s: got %q", bad, got)
		}
	}
}

func TestAnExpressionThatNeverEndsIsStopped(t *testing.T) {
	re, err := regex.Compile(`(a+)+$`, 0)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = re.Match(strings.Repeat("a", 50) + "!")
	if took := time.Since(start); !errors.Is(err, regex.ErrTimeout) || took > 5*regex.Timeout {
		t.Errorf("got %v after %v", err, took)
	}
}

func TestEscapedTextMatchesItself(t *testing.T) {
	const text = "a.b*c[d](e)\\ {f}^$|+?#&~-\n\té"
	re, err := regex.Compile(regex.Escape(text), regex.Verbose)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := re.FullMatch(text); m == nil || err != nil {
		t.Errorf("%q does not match itself: %v", regex.Escape(text), err)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`(?P<n>[]a-z])(?P=n)\Z`, `\g<n>\1`, "aa")
	f.Add(`(?i)a{,3}[^[]|(?#c)(?x)`, `\\`, "A")
	f.Fuzz(func(t *testing.T, expr, template, text string) {
		if len(expr) > 60 || len(text) > 60 {
			t.Skip("long ones only take longer")
		}
		re, err := regex.Compile(expr, 0)
		if err != nil {
			return
		}
		_, _, _ = re.Sub(template, text, 0)
		if m, err := re.FullMatch(text); err == nil && m != nil && (m.Start != 0 || m.End != len(text)) {
			t.Errorf("%s: a part of %q for all", expr, text)
		}
	})
}
