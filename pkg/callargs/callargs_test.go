package callargs_test

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/callargs"
	"github.com/brine-deploy/brine/pkg/data"
)

func TestValuesAreReadAsSaltCallDoes(t *testing.T) {
	for text, want := range map[string]any{
		"web,db": "web,db", "True": true, "yes": true, "5": int64(5), "1_000": "1_000", "0644": int64(644), "null": nil, "None": nil,
		"{a: 1, b: [x]}": data.NewMap("a", int64(1), "b", []any{"x"}), "[1, 2]": []any{int64(1), int64(2)},
		"a: 1": "a: 1", "- x": "- x", "#": "#", "a # b": "a # b", "{": "{", "": "", "2020-01-02": "2020-01-02", "!": "!", "|": "|",
		"two\nlines": "two\nlines", "'quoted'": "quoted",
	} {
		if got := callargs.Value(text); !data.Equal(got, want) {
			t.Errorf("%q gives %#v, want %#v", text, got, want)
		}
	}
}

func TestNamedArgumentsAreToldFromOthers(t *testing.T) {
	byPlace, byName := callargs.Parse([]string{"web", "test=True", "pillar={a: {x: 9}}", "a==b", "1=2", "empty="})
	if !data.Equal(byPlace, []any{"web", "a==b", "1=2"}) {
		t.Errorf("by place: %v", byPlace)
	}
	if want := data.NewMap("test", true, "pillar", data.NewMap("a", data.NewMap("x", int64(9))), "empty", ""); !data.Equal(byName, want) {
		t.Errorf("by name: %v", data.Plain(byName))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pillar={a: 1}")
	f.Fuzz(func(_ *testing.T, word string) { callargs.Parse([]string{word}) })
}
