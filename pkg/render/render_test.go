package render_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
)

// minion is a Renderer whose files are those given.
func minion(t *testing.T, files map[string]string) *render.Renderer {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &render.Renderer{Env: &modules.Env{
		Saltenv: "base", Files: fileroot.New(root), Functions: modules.All(),
		Grains: data.NewMap("os", "Debian"), Pillar: data.NewMap("x", int64(1)), Opts: data.NewMap(),
	}}
}

func TestAnSLSKnowsItsPlace(t *testing.T) {
	r := minion(t, map[string]string{
		"a/b/lib.jinja": "{% macro where() %}{{ tpldir }} {{ tplfile }}{% endmacro %}",
		"a/b/map.jinja": "{% from './lib.jinja' import where %}{% set here = where() %}",
	})
	text := "{{ sls }}|{{ slspath }}|{{ slsdotpath }}|{{ slscolonpath }}|{{ sls_path }}|{{ tplfile }}|{{ tpldir }}|{{ tpldot }}|{{ saltenv }}" +
		"{% from tpldir ~ '/map.jinja' import here %}|{{ here }}\n"
	got, err := r.Text(t.Context(), render.Source{File: "a/b/init.sls", SLS: "a.b", Text: text}, nil)
	const want = "a.b|a/b|a.b|a:b|a_b|a/b/init.sls|a/b|a.b|base|a/b ./lib.jinja\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	got, err = r.Text(t.Context(), render.Source{File: "f", Text: "{{ sls is defined }} {{ tpldir is defined }} {{ mine }}"}, data.NewMap("mine", "m"))
	if err != nil || got != "False False m" {
		t.Errorf("a file's template: got %q, %v", got, err)
	}
}

func TestTheFirstLineNamesTheRenderers(t *testing.T) {
	r := minion(t, nil)
	for text, want := range map[string]string{
		"a: {{ 1 + 1 }}\n":                           "2",
		"#!jinja|yaml\na: {{ 1 + 1 }}\n":             "2",
		"#!yaml\na: '{{ 1 + 1 }}'\n":                 "{{ 1 + 1 }}",
		"#!json\n{\"a\": \"{{ 1 }}\"}":               "{{ 1 }}",
		"#!jinja|json\n{\"a\": {{ pillar | json }}}": "",
	} {
		_, doc, err := r.SLS(t.Context(), render.Source{File: "x.sls", SLS: "x", Text: text}, nil)
		if err != nil || doc.Get("a").Text() != want {
			t.Errorf("%q: got %q, %v; want %q", text, doc.Get("a").Text(), err, want)
		}
	}
	_, _, err := r.SLS(t.Context(), render.Source{File: "x.sls", SLS: "x", Text: "#!mako|yaml\n"}, nil)
	if c := render.Complaints(err); len(c) != 1 || c[0].Class != render.Pipe || !strings.Contains(c[0].Message, "jinja") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsTellThePlaceInTheFileThatIsAtFault(t *testing.T) {
	r := minion(t, map[string]string{
		"lib.jinja": "{% macro m(x) %}\n  é {{ x.nope }}\n{% endmacro %}", "syntax.j2": "a\n  {% if %}", "d.yaml": "a: [1\nb: 2\n",
	})
	for text, want := range map[string]string{
		"a\nb {{ nope }}": "t.sls:2:6: 'nope' is undefined\n    b {{ nope }}",
		"{% from 'lib.jinja' import m %}\n\n{{ m({}) }}":         "lib.jinja:2:10: 'dict object' has no attribute 'nope'\n      é {{ x.nope }}",
		"\n{% include 'syntax.j2' %}":                            "syntax.j2:2:9: Expected an expression, got 'end of statement block'\n      {% if %}",
		"{% import 'gone.j2' as g %}":                            "t.sls:1:4: gone.j2\n    {% import 'gone.j2' as g %}",
		"\n{{ salt['nope.fn']() }}":                              "t.sls:2:8: 'salt.utils.templates.AliasedLoader object' has no attribute 'nope.fn'\n    {{ salt['nope.fn']() }}",
		"{{ 'x' | json_query('[') }}":                            "t.sls:1:10: unexpected end of the expression\n    {{ 'x' | json_query('[') }}",
		"{{ 'x' | regex_match('(') }}":                           "t.sls:1:10: read expression",
		"{% for i in range(3) %}\n{{ 1 / (1 - i) }}{% endfor %}": "t.sls:2:6: division by zero\n    {{ 1 / (1 - i) }}",
	} {
		_, _, err := r.SLS(t.Context(), render.Source{File: "t.sls", SLS: "t", Text: text}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestHostileTemplatesAreStopped(t *testing.T) {
	r := minion(t, map[string]string{"me.j2": "{% include 'me.j2' %}", "parent.j2": "{% extends 'parent.j2' %}"})
	r.Limits = render.Limits{Steps: 1_000_000, Memory: 32 << 20, Output: 4 << 20}
	for _, text := range []string{
		"{% for i in range(10**9) %}x{% endfor %}",
		"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
		"{{ 'x' * 10**9 }}", "{{ [0] * 10**9 }}", "{{ (0,) * 10**12 }}", "{{ 'x' * 10**30 }}", "{{ 10 ** (10 ** 10) }}", "{{ '%1000000000d' % 1 }}",
		"{{ '{:1000000000}'.format(1) }}", "{{ '{:{w}}'.format(1, w=10**9) }}", "{{ 'x'.center(10**9) }}", "{{ 'x'.ljust(10**10) }}", "{{ 'x' | center(10**9) }}",
		"{{ 'x' | indent(10**9) }}", "{{ 'xx'.replace('x', 'y' * 10**6).replace('y', 'z' * 10**6) }}", "{{ 'a\tb'.expandtabs(10**9) }}",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% include 'me.j2' %}", "{% extends 'parent.j2' %}",
		"{% set l = [] %}{% do l.append(l) %}{{ l | json }}", "{% set l = [] %}{% do l.append(l) %}{{ l | yaml }}",
		"{% set l = [] %}{% do l.append(l) %}{{ l == [l] }}{{ l | flatten }}",
		"{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
		"{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | json }}",
		"{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
		"{% set ns = namespace(s='xx') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"{% set ns = namespace(n=3) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
		"{% set l = [1] %}{% for i in l %}{% do l.append(i) %}{% endfor %}",
		"{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' | regex_match('(a+)+$') }}",
		"{{ range(99999) | combinations(5) | list }}", "{{ [range(9999), range(9999)] | product | list }}{{ range(9999) | product(range(9999)) | list }}",
		"{{ '10.0.0.0/8' | network_hosts }}", "{{ '::/0' | network_hosts }}", "{{ range(50000) | unique }}{{ range(50000) | list | unique }}",
		"{{ " + strings.Repeat("(", 100_000), "{{ " + strings.Repeat("not ", 100_000) + "1 }}",
		"{{ 1" + strings.Repeat(" + 1", 100_000) + " }}", "{{ x" + strings.Repeat("|upper", 100_000) + " }}", "{{ x" + strings.Repeat(".a", 100_000) + " }}",
		strings.Repeat("{% if 1 %}", 10_000), "{% for i in range(10000) %}{{ 'x' * 10000 }}{% endfor %}",
		"{{ lipsum(10**9) }}", "{{ [1] | batch(10**9, 1) | list }}", "{{ [1] | slice(10**9) | list }}", "{{ 1.5 | round(10**9) }}", "{{ 'x' | random_str(10**9) }}",
	} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := r.Text(ctx, render.Source{File: "t", Text: text}, nil)
		cancel()
		if took := time.Since(start); err == nil || took > 10*time.Second {
			t.Errorf("%.80q: %v after %v", text, err, took)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.80q: only the deadline stopped it", text)
		}
	}
}

func TestACanceledRenderingStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := minion(t, nil).Text(ctx, render.Source{File: "t", Text: "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTemplatesChangeNothingOfTheirMinion(t *testing.T) {
	r := minion(t, nil)
	const text = "{% do pillar.update({'x': 2}) %}{% do grains.update({'new': 1}) %}{{ pillar.x }}"
	for range 2 {
		got, err := r.Text(t.Context(), render.Source{File: "t", Text: text}, nil)
		if err != nil || got != "2" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if x, _ := r.Env.Pillar.Get("x"); x != int64(1) || r.Env.Grains.Len() != 1 {
		t.Errorf("got %v, %v", r.Env.Pillar, r.Env.Grains)
	}
}

// FuzzTemplates looks for templates that crash the engine, or that its limits do not stop.
func FuzzTemplates(f *testing.F) {
	for _, seed := range []string{
		"{% set x = [1, {'a': (2, 3.5)}] %}{% for i in x recursive %}{{ loop.index }}{{ i | tojson | yaml_dquote }}{% else %}{% endfor %}",
		"{% macro m(a, b=2) %}{{ caller(a) if caller is defined }}{{ varargs }}{% endmacro %}{% call(x) m(1, *[3]) %}{{ x }}{% endcall %}",
		"{%- load_yaml as y -%}\na: {b: [1, 0644]}\n{%- endload %}{{ y['a'].b[::-1] | sort(reverse=true) | join(',') }}",
		"{% block a scoped %}{{ super() }}{{ self.a() }}{% endblock %}{# c #}{% raw %}{{{% endraw %}",
		"{{ '%5.2f|%-5s|{:>{w}}'.format(3, w=4) % (1, 'x') }}{{ 'a-b' | regex_replace('(\\\\w)-(?P<n>.)', '\\\\g<n>\\\\1') }}",
		"{{ [1, 2] | combinations(2) | map('sum') | list | avg }}{{ {'a': [{'b': 1}]} | json_query('a[?b>`0`].b | [0]') }}{{ '10.0.0.1/30' | network_hosts }}",
		"{{ x.y.z | default('d', true) ~ 1 // 2 ** 3 % -4 < 5 not in [none, true] }}{{ '2020-01-02' | strftime('%Y%j') }}{{ {} | xml }}",
		"{% with a = 1 %}{% filter upper | replace('A', 'b') %}{{ namespace(x=a).x }}{% endfilter %}{% endwith %}{% include ['a'] ignore missing %}",
	} {
		f.Add(seed)
	}
	r := &render.Renderer{
		Env:    &modules.Env{Saltenv: "base", Grains: data.NewMap("os", "x"), Pillar: data.NewMap("l", []any{int64(1)}), Opts: data.NewMap()},
		Limits: render.Limits{Steps: 200_000, Memory: 8 << 20, Output: 1 << 20, Depth: 50},
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 || strings.Contains(text, "dns_check") || strings.Contains(text, "list_files") {
			t.Skip("too large, or leaves the process")
		}
		start := time.Now()
		_, _, err := r.SLS(t.Context(), render.Source{File: "t", SLS: "t", Text: text}, nil)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		if err != nil && len(render.Complaints(err)) == 0 {
			t.Errorf("an error without a class: %v", err)
		}
	})
}
