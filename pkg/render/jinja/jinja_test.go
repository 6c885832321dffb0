package jinja_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// TestTemplatesRenderAsInJinja compares with what Jinja 3.1 gave: text and messages to the character, and the kind of
// each error.
func TestTemplatesRenderAsInJinja(t *testing.T) {
	text, err := os.ReadFile("testdata/jinja2.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Context *data.Map
		Cases   []struct{ Template, Kind, Text string }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Cases {
		env := &jinja.Environment{
			Filters: jinja.Filters(), Tests: jinja.Tests(), Globals: jinja.Globals(),
			Limits: jinja.Limits{Steps: 1e6, Output: 1e6, Memory: 1e8, Depth: 100},
			Load: func(_ context.Context, name string) (jinja.Source, error) {
				text, err := os.ReadFile(filepath.Join("testdata/templates", name))
				return jinja.Source{File: name, Text: string(text)}, err
			},
		}
		run := py.NewRun(t.Context(), 1e6, 1e8, 100)
		for name, v := range all.Context.All() {
			env.Globals[name.(string)] = py.FromData(run, v)
		}
		got, err := env.Render(t.Context(), jinja.Source{File: "t", Text: c.Template}, maps.Clone(env.Globals))
		kind := ""
		if e, ok := errors.AsType[*jinja.Error](err); ok {
			kind, got = e.Kind, e.Message
		}
		if got != c.Text || kind != c.Kind {
			t.Errorf("%q:\ngot  %s %q\nwant %s %q", c.Template, kind, got, c.Kind, c.Text)
		}
	}
}
