package target

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func subject() Subject {
	return Subject{
		ID: "web1",
		Grains: fleet.Grains{
			"os": "Debian", "cpus": 4.0, "roles": []string{"web", "front"}, "ipv4": []any{"127.0.0.1", "10.0.1.1"},
			"disk": map[string]any{"sda": map[string]any{"type": "ssd"}}, "ports": []any{int8(80), uint64(443)},
		},
		Tags:   fleet.Tags{"env": "prod", "aws:autoscaling:groupName": "shop"},
		Pillar: map[string]any{"tier": "front"},
	}
}

func TestMatchesWhatPeopleWrite(t *testing.T) {
	for expr, want := range map[string]bool{
		"web[!2-9]": true, "web[!1]": false, "we?1": true, "WEB1": false, "[w": false,
		"T@env:prod": true, "T@env:PROD": true, "T@env:p*": true, "T@env:dev": false, "T@nosuch:*": false,
		"T@aws:autoscaling:groupName:shop": true, "T|@env|prod": true,
		"G|@disk|sda|type|ssd": true, "G@disk:*:type:ssd": true, "G|@disk|*|type|ssd": true, "G@cpus:4": true, "G@ports:443": true,
		"P@roles:(?:web|db)$": true, `P@os:\D+$`: true, "P@*:type:ssd": false, "P@disk:*:type:s+d": true,
		"S@10.0.1.0/24": true, "S@10.0.2.0/24": false, "S@::/0": false,
		"(web1 or db1) and G@os:Debian": true, "((web1))": true, "not(web1)": false, "(not (db1 or (db2)))": true, "E@(web|db)1": true,
		"(E@web(1|2))": true, `(E@web(1|2)\)) or web1`: true, "db1 or (E@(web|db)1 and(T@env:prod))": true,
		"not not web1": true, "not not not web1": false, "( web1 )": true, "db1 or web* not web2": true,
		`E@web(?!2)`: true, `E@(w)eb(?!1)`: false, `P@os:(?!red)(.)eb.*\1?`: true,
		"I@tier:front": true, "J@tier:f.o": true,
	} {
		target, err := Parse(expr)
		if err != nil {
			t.Errorf("%v", err)
		} else if got := target.Match(subject()); got != want {
			t.Errorf("%s: %t", expr, got)
		}
	}
}

func TestAnExpressionThatTakesForEverMatchesNobody(t *testing.T) {
	for _, expr := range []string{`E@(?!b)(a+)+$`, `not E@(?!b)(a+)+$`, `not P@long:(?!b)(a+)+$`} {
		target, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("a", 60) + "!"
		started := time.Now()
		for range 3 {
			if target.Match(Subject{ID: fleet.MinionID(long), Grains: fleet.Grains{"long": long}}) {
				t.Errorf("%s matches", expr)
			}
		}
		if took := time.Since(started); took > 5*time.Second || !errors.Is(target.Err(), ErrSlow) {
			t.Errorf("%s: %v, %v", expr, took, target.Err())
		}
	}
}

func TestOnlySomeTargetsLookAtPillar(t *testing.T) {
	for expr, want := range map[string]bool{"web* and (I@a:b or x)": true, "not J|@a|b": true, "N@p": true, "G@a:b and INK": false, "N@q": false} {
		got, err := ParseWith(expr, Nodegroups{"p": "x or I@a:b", "q": "web1"})
		if err != nil || got.LooksAtPillar() != want {
			t.Errorf("%s: %v, %v", expr, got, err)
		}
	}
}

func TestAMinionWithoutFactsMatchesNoFact(t *testing.T) {
	for _, expr := range []string{"G@*:*", "P@os:.*", "I@*:*", "T@env:*", "S@0.0.0.0/0", "L@,", "L@web1"} {
		target, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if target.Match(Subject{}) {
			t.Errorf("%s matches", expr)
		}
	}
}

func TestErrorsShowTheColumnAndTheReason(t *testing.T) {
	deep := strings.Repeat("( ", maxDepth+1) + "a" + strings.Repeat(" )", maxDepth+1)
	for _, c := range []struct {
		expr   string
		column int
		want   string
	}{
		{"", 1, "empty"},
		{"web1 and", 9, "expected a match at the end"},
		{"web1 AND db1", 6, `expected "and" or "or" before "AND"`},
		{"ü* or and x", 7, `before "and"`},
		{"( web1 or db1", 1, "not closed"},
		{"( web1 x )", 8, `before "x"`},
		{"web1 )", 6, `")" without "("`},
		{"a or (web1 or db1", 6, "not closed"},
		{"web1) or x", 5, `")" without "("`},
		{"()", 2, `expected a match before ")"`},
		{"web1(db1)", 5, `an id has no "("`},
		{"a or X@web1", 6, `unknown match "X@"; known: L@`},
		{"a and G@os", 11, "expected name:value; G@os:* is any value"},
		{"T@env", 6, "T@env:*"},
		{"E@", 3, "needs something"},
		{"N@", 3, "needs something"},
		{`not E@web(?!1`, 10, "`(?!`"},
		{`P@os:x[y`, 7, "`[y`"},
		{`E@a)(b`, 3, "unexpected )"},
		{"S@10.0.0.1/24", 3, "host bits set; the network is 10.0.0.0/24"},
		{"S@10.0.0.300", 3, "neither"},
		{"S@10.0.0.0/255.0.255.0", 3, "netmask"},
		{"a or N@nope", 8, `unknown nodegroup "nope"; known: deep, inner, loop`},
		{"a or N@loop", 6, `in nodegroup "loop": nodegroup "loop" contains itself: loop > loop`},
		{"a or N@deep", 6, `in nodegroup "inner": an id has no`},
		{deep, 2*maxDepth + 1, "deeper than 64"},
		{"G@" + strings.Repeat("*:", maxStars+1) + "x", 3, "more than 8"},
		{"P@" + strings.Repeat("x:", maxParts) + "x", 3, "more than 64 parts"},
		{strings.Repeat("a or ", maxWords) + "a", 1, "more than 4096 words"},
		{strings.Repeat("a", maxLength+1), 1, "longer than"},
	} {
		_, err := ParseWith(c.expr, Nodegroups{"loop": "N@loop", "deep": []any{"N@inner", "or", "db1"}, "inner": "x and web1)x"})
		var bad *SyntaxError
		if !errors.As(err, &bad) || bad.Column != c.column || !strings.Contains(bad.Error(), c.want) {
			t.Errorf("%.60q: %v; want column %d: %s", c.expr, err, c.column, c.want)
		} else if !strings.Contains(bad.Detail(), "^ ") {
			t.Errorf("no caret: %s", bad.Detail())
		}
	}
}

func TestTheCaretStandsBelowThePlace(t *testing.T) {
	for expr, want := range map[string]string{
		"web1\tand and": "web1 and and\n         ^ ",
		strings.Repeat("a or ", 100) + "and or b": "and or b\n" + strings.Repeat(" ", 51) + "^ ",
	} {
		_, err := Parse(expr)
		var bad *SyntaxError
		if !errors.As(err, &bad) || !strings.Contains(bad.Detail(), want) {
			t.Errorf("got\n%s\nwant\n%s", bad.Detail(), want)
		}
	}
}

func TestNodegroupsThatMultiplyAreBounded(t *testing.T) {
	groups := Nodegroups{"g0": "a or b"}
	for i := range 40 {
		groups[fmt.Sprintf("g%d", i+1)] = fmt.Sprintf("N@g%d or N@g%d", i, i)
	}
	if _, err := ParseWith("N@g40", groups); err == nil {
		t.Fatal("accepted")
	}
	if target, err := ParseWith("web* and not N@none", Nodegroups{"none": []string{}}); err != nil || !target.Match(subject()) {
		t.Fatalf("an empty nodegroup is nobody: %v", err)
	}
}

// Expressions obey the laws of logic, on any set of minions.
func TestLogic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		atom := rapid.SampledFrom([]string{"a*", "b*", "*1", "L@a1,b2", "E@[ab]1", "G@x:1", "G@x:*", "T@t:1", "( a1 or b1 )", "not a*"})
		a, b, c := atom.Draw(t, "a"), atom.Draw(t, "b"), atom.Draw(t, "c")
		s := Subject{
			ID:     fleet.MinionID(rapid.SampledFrom([]string{"a1", "a2", "b1", "b2", "c"}).Draw(t, "id")),
			Grains: fleet.Grains{"x": rapid.IntRange(0, 2).Draw(t, "x")},
			Tags:   fleet.Tags{"t": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "t")},
		}
		for left, right := range map[string]string{
			a:                            "not not " + a,
			a + " and " + b:              b + " and ( " + a + " )",
			a + " or " + b:               "not ( not " + a + " and not " + b + " )",
			a + " not " + b:              a + " and not " + b,
			a + " or " + b + " and " + c: a + " or ( " + b + " and " + c + " )",
			a + " and " + b + " or " + c: "( " + a + " and " + b + " ) or " + c,
		} {
			if x, y := mustParse(t, left).Match(s), mustParse(t, right).Match(s); x != y {
				t.Fatalf("%s: %t, but %s: %t", left, x, right, y)
			}
		}
	})
}

func mustParse(t *rapid.T, expr string) *Target {
	target, err := Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	if target.String() != expr {
		t.Fatalf("String of %q is %q", expr, target)
	}
	return target
}

// The fast glob agrees with the obvious one.
func TestGlobStarsAndQuestionMarks(t *testing.T) {
	var naive func(p, s string) bool
	naive = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return naive(p[1:], s) || s != "" && naive(p, s[1:])
		default:
			return s != "" && (p[0] == '?' || p[0] == s[0]) && naive(p[1:], s[1:])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern, text := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern"), rapid.StringMatching(`[ab]{0,10}`).Draw(t, "text")
		if got := newGlob(pattern).match(text); got != naive(pattern, text) {
			t.Fatalf("%q on %q: %t", pattern, text, got)
		}
	})
}

func TestGlobSetsAreThoseOfFnmatch(t *testing.T) {
	for pattern, matches := range map[string]string{
		"[]]": "]", "[!]]": "abc-", "[a-]": "a-", "[-a]": "a-", "[a-c]": "abc", "[!a-c]": "-]", "[c-a]": "", "[a": "", "[]": "",
	} {
		for _, r := range "abc-]" {
			if got := newGlob(pattern).match(string(r)); got != strings.ContainsRune(matches, r) {
				t.Errorf("%s on %c: %t", pattern, r, got)
			}
		}
	}
	if !newGlob("[a").match("[a") {
		t.Error("[ that is not closed stands for itself")
	}
}

// On a fleet of 10,000 a target is compiled once and matched by all within 20 ms.
func BenchmarkCompoundTargetOn10000Minions(b *testing.B) {
	minions := make([]Subject, 10_000)
	for i := range minions {
		role := []any{"web", "db", "cache"}[i%3]
		minions[i] = Subject{
			ID:     fleet.MinionID(fmt.Sprintf("web%d.ams.example.com", i)),
			Grains: fleet.Grains{"os": "Debian", "roles": []any{role, "front"}, "disk": map[string]any{"sda": map[string]any{"type": "ssd"}}, "ipv4": []any{"127.0.0.1", fmt.Sprintf("10.0.%d.%d", i/250, i%250)}},
			Tags:   fleet.Tags{"env": "prod"}, Pillar: map[string]any{"tier": "front"},
		}
	}
	const expr = `(web* or E@db\d+) and G@roles:web and not (P@os:(RedHat|Suse) or S@10.0.3.0/24) and I@tier:f* and G@disk:*:type:ssd and T@env:prod`
	for b.Loop() {
		target, err := Parse(expr)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for i := range minions {
			if target.Match(minions[i]) {
				n++
			}
		}
		if n != 3250 {
			b.Fatal(n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, expr := range []string{"web* and not ( G@dc:ams or L@web7 )", "P@a:*:(b|c", "S@10.0.0.0/255.0.0.0", "N@g or N@h", "G|@a|*|b", "T@a:b:c", "E@[a"} {
		f.Add(expr, "a or b")
	}
	s := subject()
	f.Fuzz(func(t *testing.T, expr, group string) {
		groups := Nodegroups{"g": group, "h": strings.Split(group, ",")}
		target, err := ParseWith(expr, groups)
		if err != nil {
			var bad *SyntaxError
			if !errors.As(err, &bad) || bad.Column < 1 || bad.Column > len([]rune(expr))+1 || bad.Detail() == "" {
				t.Fatalf("%q: %#v", expr, err)
			}
			return
		}
		matched := target.Match(s)
		target.Match(Subject{})
		if negated, err := ParseWith("not ( "+expr+" )", groups); err == nil && negated.Match(s) == matched && !unbalanced(expr) {
			t.Fatalf("%q and its opposite are both %t", expr, matched)
		}
		if !maps.Equal(s.Tags, subject().Tags) {
			t.Fatal("a match changed its subject")
		}
	})
}

// unbalanced reports that an expression in parentheses may not be one operand, as in "a ) or ( b".
func unbalanced(expr string) bool { return strings.Contains(expr, ")") }
