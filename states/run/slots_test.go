package run

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
)

func TestSlotsAreCalls(t *testing.T) {
	name, args, named, rest, ok := parseCall(`test.arg("a, b", c, [d, e], k='v=w').x.y ~ /z`)
	if !ok || name != "test.arg" || !data.Equal(args, []any{"a, b", "c", "[d, e]"}) || !data.Equal(named, data.NewMap("k", "v=w")) || rest != ".x.y ~ /z" {
		t.Errorf("got %s %v %v %q %t", name, args, data.Plain(named), rest, ok)
	}
	for _, bad := range []string{"", "test.arg", "test.arg(", `test.arg("x)`} {
		if _, _, _, _, ok := parseCall(bad); ok {
			t.Errorf("%q is no call", bad)
		}
	}
}

func FuzzParseCall(f *testing.F) {
	f.Add(`test.echo("from slot") ~ more`)
	f.Add(`a(b=[c, {d: (e)}], 'f')`)
	f.Fuzz(func(_ *testing.T, text string) { parseCall(text) })
}
