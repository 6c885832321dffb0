package render_test

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/render"
)

func TestSaltsFiltersGiveWhatItsDocumentationSays(t *testing.T) {
	r := minion(t, map[string]string{"inc.yaml": "k: {{ v }}", "conf.d/x.json": `{"a": [1]}`})
	for text, want := range map[string]string{
		"{{ [1, 2] | union([2, 3]) }}{{ [1, 2, 3] | intersect([2, 4]) }}{{ [1, 2] | symmetric_difference([2, 3]) }}":   "[1, 2, 3][2][1, 3]",
		"{{ [3, [4, [2]]] | flatten(levels=1) }}{{ [1, 2] | avg }}{{ [2, 1] | max }}":                                  "[3, 4, [2]]1.52",
		"{{ 'ab' | product('c') | map('join') | list }}{{ [1, 2] | zip('ab') | list }}":                                "['ac', 'bc'][(1, 'a'), (2, 'b')]",
		"{{ [1, 2, 3] | permutations(2) | list | length }}{{ [1, 2] | combinations_with_replacement(2) | list }}":      "6[(1, 1), (1, 2), (2, 2)]",
		"{{ 'get salted' | hmac('shared secret', 'eBWf9bstXg+NiP5AOwppB5HMvZiYMPzEM9W5YMm/AmQ=') }}":                   "True",
		"{{ \"a b'c\" | quote }}{{ '' | quote }}{{ 'a/b' | quote }}":                                                   `'a b'"'"'c'''a/b`,
		"{{ 'é' | yaml_encode }}{{ 5 | yaml_encode }}{{ \"it's\" | yaml_squote }}":                                     `"\xE9"5'it''s'`,
		"{{ {'foo': true, 'bar': [1, none]} | python }}":                                                               "{'bar': [1, None], 'foo': True}",
		"{{ {'r': {'a': 1, 'l': [1, 2]}} | xml }}":                                                                     "<?xml version=\"1.0\" ?>\n<r a=\"1\">\n <l>1</l>\n <l>2</l>\n</r>\n",
		"{{ ['192.168.0.1', '::1', 'foo', '10.0.0.0/8'] | ipaddr }}{{ '8.8.8.8' | is_ip(options='private') }}":         "['192.168.0.1', '10.0.0.0/8', '::1']False",
		"{{ '192.168.0.1/28' | ip_host }}{{ '::1' | ipwrap }}{{ ['10.0.0.0/30'] | network_size }}":                     "192.168.0.1/28[::1][4]",
		"{{ '2002/12/25' | strftime('%d %b %Y %j') }}{{ 'x' | to_num }}{{ '5.5' | to_num }}":                           "25 Dec 2002 359x5.5",
		"{{ '1.5 GiB' | human_to_bytes }} {{ '1kB' | human_to_bytes(handle_metric=True) }} {{ 'x' | human_to_bytes }}": "1610612736 1000 0",
		"{{ 'camelCase' | to_snake_case }}{{ 'a_b_c' | to_camelcase(uppercamel=True) }}{{ 'zz' | is_hex }}":            "camel_caseABCFalse",
		"{{ {'a': 1} | compare_dicts({'a': 2}) }}{{ [1, 2] | compare_lists([2, 3]) }}":                                 "{'a': {'old': 1, 'new': 2}}{'new': [3], 'old': [1]}",
		"{{ {'f': {'l': [1]}} | extend_dict_key_value('f:l', [2]) }}{{ {} | set_dict_key_value('a:b', 1) }}":           "{'f': {'l': [1, 2]}}{'a': {'b': 1}}",
		"{{ 'ABC' is match('abc', ignorecase=True) }}{{ 'a' | method_call('upper') }}":                                 "TrueA",
		"{{ {'a': [{'x': {1: 5}}]} | traverse('a:0:x:1') }}{{ {'a': [{'x': 5}]} | traverse('a:x') }}":                  "55",
		"{{ 'yes' | check_whitelist_blacklist(blacklist=['y*']) }}{{ '/a/' | path_join('/b', '..', 'c') }}":            "False/a/c",
		"{{ 'abcd' | regex_search('^(.*)BC(.*)$', ignorecase=True) }}{{ 'a b' | regex_replace('\\\\s', '_') }}":        "('a', 'd')a_b",
		"{% profile as 'x' %}p{% endprofile %}{% load_json as j %}{\"a\": null}{% endload %}{{ j }}":                   "p{'a': None}",
		"{% set v = 'w' %}{% load_yaml as y %}{% include 'inc.yaml' %}{% endload %}{{ y.k }}":                          "w",
		"{% set v = 'w' %}{% import_yaml 'inc.yaml' as y with context %}{{ y }}":                                       "{'k': 'w'}",
		"{% import_json 'conf.d/x.json' as j %}{{ j.a[0] }}{% import_text 'conf.d/x.json' as t %}{{ t }}":              `1{"a": [1]}`,
		"{{ salt.test.echo('x') }}{{ salt['test.echo']('y') }}{{ 'test.echo' in salt }}{{ odict(a=1) }}":               "xyTrue{'a': 1}",
		"{{ show_full_context().grains }}{{ '0644: 1\\nb: yes' | load_yaml }}":                                         "{'os': 'Debian'}{644: 1, 'b': True}",
	} {
		got, err := r.Text(t.Context(), render.Source{File: "t", Text: text}, data.NewMap())
		if err != nil || got != want {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}
}
