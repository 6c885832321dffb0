package caller_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/minion/caller"
	"github.com/brine-deploy/brine/pkg/callargs"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/stateoutput"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tree writes files, those of pillar below pillar/, and gives a caller that serves them.
func tree(t *testing.T, files map[string]string, opts *data.Map) *caller.Caller {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := caller.New(t.Context(), caller.Options{
		ID: "web1", FileRoots: []string{dir}, PillarRoots: []string{filepath.Join(dir, "pillar")}, Grains: data.NewMap("role", "web"), Opts: opts,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask calls a function as a person does.
func ask(t *testing.T, c *caller.Caller, words ...string) *stateoutput.Report {
	t.Helper()
	args, named := callargs.Parse(words[1:])
	answer, err := c.Call(t.Context(), words[0], args, named)
	if err != nil {
		t.Fatal(err)
	}
	return caller.Report(answer)
}

// told gives IDs with their results, or the errors, or what was returned.
func told(r *stateoutput.Report) string {
	var all []string
	for _, s := range r.States {
		result := "null"
		if s.Result != nil {
			result = map[bool]string{true: "true", false: "false"}[*s.Result]
		}
		all = append(all, s.ID+" "+result)
	}
	for _, e := range r.Errors {
		all = append(all, e.Class+": "+e.Message)
	}
	if r.Return != nil {
		text, _ := json.Marshal(r.Return)
		all = append(all, string(text))
	}
	return strings.Join(all, "\n")
}

func site() map[string]string {
	return map[string]string{
		"top.sls":          "base:\n  '*': [common]\n  'role:web':\n    - match: grain\n    - web\n",
		"common.sls":       "common: test.nop\n",
		"web/init.sls":     "include: [.conf]\nweb:\n  test.succeed_with_changes:\n    - comment: {{ pillar.get('greeting', 'none') }} {{ grains['role'] }}\n",
		"web/conf.sls":     "conf:\n  test.nop:\n    - require_in: [test: web]\n",
		"fails.sls":        "a:\n  test.fail_without_changes: []\nb:\n  test.nop:\n    - onfail: [test: a]\n    - onfail_stop: False\n",
		"empty.sls":        "",
		"odd.sls":          "x:\n  nope.y: []\nz:\n  file.absent:\n    - name: /nothing/here\n    - typo: x\n",
		"nested.sls":       "n:\n  test.configurable_test_state:\n    - changes: False\n    - result: {{ salt['state.single']('test.nop', name='x') is mapping }}\n",
		"pillar/top.sls":   "base:\n  '*': [greet]\n",
		"pillar/greet.sls": "greeting: hello\n",
	}
}

func TestFunctionsAnswerWithSaltsCodes(t *testing.T) {
	c := tree(t, site(), nil)
	for _, test := range []struct {
		words string
		code  int
		want  string
	}{
		{"state.apply", 0, "common true\nconf true\nweb true"},
		{"state.highstate test=True", 0, "common true\nconf true\nweb null"},
		{"state.apply web", 0, "conf true\nweb true"},
		{"state.sls mods=web,common", 0, "conf true\nweb true\ncommon true"},
		{"state.apply exclude=web", 0, "common true\nconf true"},
		{"state.test web", 0, "conf true\nweb null"},
		{"state.apply fails", 0, "a false\nb true"},
		{"state.single test.fail_without_changes name=x", 2, "x false"},
		{"state.single test.nope name=x", 1, "function unavailable: State 'test.nope' was not found; did you mean test.nop?"},
		{"state.apply empty", 2, ""},
		{"state.apply gone", 1, "missing sls: no matching sls found for 'gone' in env 'base'; it would be gone.sls or gone/init.sls"},
		{"state.apply web saltenv=dev", 1, "missing sls: no matching sls found for 'web' in env 'dev'; it would be web.sls or web/init.sls"},
		{"state.sls_id web web", 0, "conf true\nweb true"},
		{"state.sls_id nothing web", 1, "bad data: No matches for ID 'nothing' found in SLS 'web'"},
		{"state.show_top", 0, `{"base":["common","web"]}`},
		{"state.show_states", 0, `["common","web.conf","web"]`},
		{"state.show_sls common", 0, `{"common":{"test":["nop",{"order":10000}],"__sls__":"common","__env__":"base"}}`},
		{"state.show_low_sls common", 0, `[{"state":"test","name":"common","__sls__":"common","__env__":"base","__id__":"common","order":10000,"fun":"nop"}]`},
		{"state.show_highstate exclude=web", 0, `{"common":{"test":["nop",{"order":10000}],"__sls__":"common","__env__":"base"},"web":{"test":[{"comment":"hello web"},"succeed_with_changes",{"order":10002}],"__sls__":"web","__env__":"base"},"conf":{"test":[{"require_in":[{"test":"web"}]},"nop",{"order":10001}],"__sls__":"web.conf","__env__":"base"}}`},
		{"state.show_lowstate exclude=web*", 0, `[{"state":"test","name":"common","__sls__":"common","__env__":"base","__id__":"common","order":10000,"fun":"nop"}]`},
		{"state.apply nested", 0, "n true"},
		{"state.apply odd", 2, "x false\nz true"},
		{"state.apply wbe=1", 1, "bad call: wrong arguments: state.apply does not know wbe; it takes: mods, test, pillar, saltenv, exclude, queue, concurrent, pillarenv, force"},
		{"test.echo hello", 0, `"hello"`},
		{"pillar.get greeting", 0, `"hello"`},
		{"nope.nope", 1, "bad call: unknown function nope.nope; sys.list_functions lists what there is"},
	} {
		r := ask(t, c, strings.Fields(test.words)...)
		if r.Retcode != test.code || r.OK != (test.code == 0) || told(r) != test.want {
			t.Errorf("%s: code %d, ok %t\n%s\nwant %d\n%s", test.words, r.Retcode, r.OK, told(r), test.code, test.want)
		}
	}
}

func TestPillarOfTheCallIsMergedOver(t *testing.T) {
	c := tree(t, site(), nil)
	for pillar, want := range map[string]string{"{}": "hello web", "{greeting: hi}": "hi web"} {
		if got := ask(t, c, "state.apply", "web", "pillar="+pillar).States[1].Comment; got != want {
			t.Errorf("pillar %s: %q, want %q", pillar, got, want)
		}
	}
}

func TestABadPillarStopsAll(t *testing.T) {
	files := site()
	files["pillar/greet.sls"] = "greeting: [\n"
	r := ask(t, tree(t, files, nil), "state.apply")
	if r.Retcode != 5 || len(r.Errors) == 0 || r.Errors[0].Class != "pillar error" || r.Errors[0].File != "pillar:greet" {
		t.Errorf("got %d %s", r.Retcode, told(r))
	}
}

func TestWithoutATopFileThereIsNothingToDo(t *testing.T) {
	r := ask(t, tree(t, map[string]string{"a.sls": "a: test.nop"}, nil), "state.highstate")
	if r.Retcode != 2 || told(r) != "states false" || r.States[0].State != "no" || r.States[0].Name != "No States" {
		t.Errorf("got %d %s", r.Retcode, told(r))
	}
}

func TestErrorsHaveTheLinesOfTheTemplate(t *testing.T) {
	const sls = "{% for i in [1, 2] %}\nid{{ i }}: test.nop\n{% endfor %}\nbad:\n  test.nop: text\n"
	r := ask(t, tree(t, map[string]string{"a.sls": sls}, nil), "state.apply", "a")
	if len(r.Errors) != 1 || r.Errors[0].Line != 5 || r.Errors[0].Column != 3 || r.Errors[0].Snippet != "test.nop: text" {
		t.Errorf("got %+v", r.Errors)
	}
}

func TestAnInterruptedRunSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := tree(t, map[string]string{"a.sls": "a:\n  cmd.run: [name: sleep 20]\nb: test.nop\n"}, nil)
	time.AfterFunc(200*time.Millisecond, cancel)
	answer, err := c.Call(ctx, "state.apply", []any{"a"}, nil)
	if err != nil || answer.OK() || len(answer.States) != 1 || len(answer.Errors) != 1 {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestABrokenTopFileIsToldBesideSaltsAnswer(t *testing.T) {
	r := ask(t, tree(t, map[string]string{"top.sls": "base: [\n"}, nil), "state.highstate")
	if r.Retcode != 2 || len(r.States) != 1 || len(r.Errors) != 1 || r.Errors[0].File != "top" || r.Errors[0].Class != "yaml error" {
		t.Errorf("got %d %s", r.Retcode, told(r))
	}
}

func TestAHighstateOfNothingIsAFailure(t *testing.T) {
	r := ask(t, tree(t, map[string]string{"top.sls": "base: {'*': [empty]}\n", "empty.sls": ""}, nil), "state.highstate")
	if r.Retcode != 2 || told(r) != "states false" || r.States[0].Comment != "No states found for this minion" {
		t.Errorf("got %d %s", r.Retcode, told(r))
	}
}

func TestStrictStatesTellsBeforeAnythingRuns(t *testing.T) {
	r := ask(t, tree(t, site(), data.NewMap("strict_states", true)), "state.apply", "odd")
	if len(r.Errors) != 2 || r.Errors[0].Line != 2 || r.Errors[1].Class != "unknown argument" || r.Errors[1].Line != 6 || r.States != nil {
		t.Errorf("got %+v", r.Errors)
	}
}

func TestEnvironmentsComeFromTheOptions(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "d.sls"), []byte("d: test.nop"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := tree(t, nil, data.NewMap("file_roots", data.NewMap("base", []any{}, "dev", []any{dir})))
	if r := ask(t, c, "state.apply", "d", "saltenv=dev"); told(r) != "d true" {
		t.Errorf("got %s", told(r))
	}
}
