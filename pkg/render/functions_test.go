package render_test

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
)

func TestFunctionsThatMergeInPlaceChangeTheTemplatesDict(t *testing.T) {
	r := &render.Renderer{Env: &modules.Env{ID: "m", Grains: &data.Map{}, Pillar: &data.Map{}, Opts: &data.Map{}, Saltenv: "base", Functions: modules.All()}}
	for text, want := range map[string]string{
		"{% set a = {'x': {'p': 1}} %}{% do salt['defaults.merge'](a, {'x': {'q': 2}}) %}{{ a }}":                "{'x': {'p': 1, 'q': 2}}",
		"{% set a = {'x': 1} %}{% set b = salt['defaults.merge'](a, {'y': 2}, in_place=False) %}{{ a }} {{ b }}": "{'x': 1} {'x': 1, 'y': 2}",
		"{% set a = {'x': 1} %}{% do salt['slsutil.update'](a, {'y': 2}) %}{{ a }}":                              "{'x': 1, 'y': 2}",
		"{% set a = {'x': 1} %}{% set b = salt['slsutil.merge'](a, {'y': 2}) %}{{ a }} {{ b }}":                  "{'x': 1} {'x': 1, 'y': 2}",
		"{% set a = {'w': {'p': 1}} %}{% do salt['defaults.update'](a, {'d': 0}) %}{{ a }}":                      "{'w': {'d': 0, 'p': 1}}",
	} {
		if got, err := r.Text(t.Context(), render.Source{File: "x", Text: text}, nil); err != nil || got != want {
			t.Errorf("%s\ngave %s, %v; not %s", text, got, err, want)
		}
	}
}
