package run_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/yaml"
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/run"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// one is a single SLS file named m.
type one string

func (o one) Load(_ context.Context, env, sls string) (*compile.Document, error) {
	if sls != "m" {
		return nil, fs.ErrNotExist
	}
	root, err := yaml.Salt("m.sls", []byte(o))
	return &compile.Document{SLS: sls, Env: env, Path: "m.sls", Root: root}, err
}

func (o one) Names(context.Context, string) ([]string, error) { return []string{"m"}, nil }

// families are the test states, and some that count, panic, and watch nothing.
func families(calls *atomic.Int64) map[string]state.Family {
	return map[string]state.Family{
		"test": test.States(),
		"odd": {
			"panics": {Run: func(context.Context, *state.Call) state.Result { panic("oops") }},
			"counts": {Params: []string{"good"}, Run: func(_ context.Context, c *state.Call) state.Result {
				good, _ := c.Args.Get("good")
				if n, _ := good.(int64); calls.Add(1) >= n {
					return state.Result{Verdict: state.True}
				}
				return state.Result{Comment: "not yet"}
			}},
			"changes": {Run: func(_ context.Context, c *state.Call) state.Result {
				if c.Test {
					return state.Result{Verdict: state.Pending, Changes: data.NewMap("would", true)}
				}
				return state.Result{Verdict: state.True, Changes: data.NewMap("did", true)}
			}},
			"echo": {Params: []string{"*"}, Run: func(_ context.Context, c *state.Call) state.Result {
				text, _ := c.Args.MarshalJSON()
				return state.Result{Verdict: state.True, Comment: string(text)}
			}},
		},
	}
}

type options struct{ test, failhard bool }

func results(t *testing.T, sls string, o options) []*run.Result {
	t.Helper()
	high, err := compile.Tree(t.Context(), one(sls), compile.ParseMods("base", "m"))
	if err == nil {
		err = high.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := run.Runner{
		Families: families(new(atomic.Int64)), Test: o.test, Failhard: o.failhard,
		Host: &state.Host{Env: &modules.Env{Functions: modules.All(), Log: slog.New(slog.DiscardHandler), Grains: &data.Map{}}},
	}
	return r.Run(t.Context(), high.Low())
}

// told gives "ID result reason" of each result, with a + when it changed something.
func told(all []*run.Result) string {
	var lines []string
	for _, r := range all {
		line := fmt.Sprintf("%s %v", r.ID, map[state.Verdict]string{state.True: "true", state.False: "false", state.Pending: "null"}[r.Verdict])
		if r.Changed() {
			line += "+"
		}
		if r.Reason != "" {
			line += " " + r.Reason
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

const good, bad, change = "succeed_without_changes", "fail_without_changes", "succeed_with_changes"

// states makes an SLS of lines "ID FUNCTION ARGUMENT; ARGUMENT"; a function without a dot is one of test's.
func states(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		words := strings.SplitN(line, " ", 3)
		if !strings.Contains(words[1], ".") {
			words[1] = "test." + words[1]
		}
		fmt.Fprintf(&b, "%s:\n  %s:\n", words[0], words[1])
		args := ""
		if len(words) > 2 {
			args = words[2]
		}
		for arg := range strings.SplitSeq(args, "; ") {
			if arg != "" {
				fmt.Fprintf(&b, "    - %s\n", arg)
			}
		}
		if args == "" {
			b.WriteString("    - x: 1\n")
		}
	}
	return b.String()
}

func TestRequisitesDecideAsInSalt(t *testing.T) {
	for name, c := range map[string]struct {
		sls  string
		o    options
		want string
	}{
		"require runs first":             {states("a nop require: [test: b]", "b nop"), options{}, "b true\na true"},
		"require by name and by ID":      {states("a nop require: [c, test: n]", "b nop name: n", "c nop"), options{}, "c true\nb true\na true"},
		"require of a glob":              {states("a nop require: [test: 'b*']", "b1 nop", "b2 "+bad), options{}, "b1 true\nb2 false state failed\na false requisite failed"},
		"a failure goes on and on":       {states("a "+bad, "b nop require: [test: a]", "c nop require: [test: b]", "d nop"), options{}, "a false state failed\nb false requisite failed\nc false requisite failed\nd true"},
		"a missing one fails alone":      {states("a nop require: [test: gone]", "b nop"), options{}, "a false requisite missing\nb true"},
		"a long circle":                  {states("a nop require: [test: b]", "b nop require: [test: c]", "c nop require: [test: a]", "d nop"), options{}, "c false requisite recursive\nb false requisite failed\na false requisite failed\nd true"},
		"a skipped one counts as true":   {states("a nop unless: 'true'", "b nop require: [test: a]", "c nop onchanges: [test: b]", "d nop require: [test: c]"), options{}, "a true unless true\nb true\nc true onchanges unmet\nd true"},
		"require_any":                    {states("a "+bad, "b nop", "c nop require_any: [test: a, test: b]", "d nop require_any: [test: a]"), options{}, "a false state failed\nb true\nc true\nd false requisite failed"},
		"watch calls mod_watch":          {states("a "+change, "b nop watch: [test: a]", "c nop watch: [test: b]"), options{}, "a true+\nb true+\nc true+"},
		"watch of what stays":            {states("a nop", "b nop watch: [test: a]"), options{}, "a true\nb true"},
		"watch without mod_watch":        {states("a "+change, "b odd.changes watch: [test: a]"), options{}, "a true+\nb true+"},
		"watch_any":                      {states("a "+bad, "b "+change, "c nop watch_any: [test: a, test: b]"), options{}, "a false state failed\nb true+\nc true+"},
		"guards hold back mod_watch":     {states("a "+change, "b nop watch: [test: a]; onlyif: 'false'"), options{}, "a true+\nb true onlyif false"},
		"onchanges":                      {states("a "+change, "b nop onchanges: [test: a]", "c nop onchanges: [test: b]", "d nop onchanges: [test: a, test: b]"), options{}, "a true+\nb true\nc true onchanges unmet\nd true"},
		"onchanges of a failure":         {states("a fail_with_changes", "b nop onchanges: [test: a]"), options{}, "a false+ state failed\nb false requisite failed"},
		"onchanges with test":            {states("a "+change, "b nop onchanges: [test: a]"), options{test: true}, "a null+ test mode\nb true"},
		"onfail":                         {states("a "+bad, "b nop", "c nop onfail: [test: a]", "d nop onfail: [test: b]", "e nop onfail: [test: a, test: b]"), options{}, "a false state failed\nb true\nc true\nd true onfail unmet\ne true"},
		"onfail of what could not run":   {states("a "+bad, "b nop require: [test: a]", "c nop onfail: [test: b]"), options{}, "a false state failed\nb false requisite failed\nc true"},
		"onfail of that and another":     {states("a "+bad, "b nop require: [test: a]", "c nop", "d nop onfail: [test: b, test: c]"), options{}, "a false state failed\nb false requisite failed\nc true\nd true"},
		"prereq, when something changes": {states("a odd.changes", "b nop prereq: [odd: a]"), options{}, "b true\na true+"},
		"prereq, when nothing changes":   {states("a nop", "b nop prereq: [test: a]"), options{}, "b true prereq unmet\na true"},
		"prereq fails":                   {states("b "+bad+" prereq: [odd: a]", "a odd.changes"), options{}, "b false state failed\na null test mode"},
		"prereq with requisites":         {states("b nop prereq: [odd: a]", "a odd.changes require: [test: c]", "c nop"), options{}, "c true\nb true\na true+"},
		"prereq in a row":                {states("c nop prereq: [odd: b]", "b odd.changes prereq: [odd: a]", "a odd.changes"), options{}, "c true\nb true+\na true+"},
		"listen, at the end, once":       {states("a "+change, "b nop listen: [test: a, test: d]", "c nop", "d "+change), options{}, "a true+\nb true\nc true\nd true+\nlistener_b true+"},
		"listen_in":                      {states("a "+change+" listen_in: [test: b]", "b nop"), options{}, "a true+\nb true\nlistener_b true+"},
		"listen to what stays":           {states("a nop", "b nop listen: [test: a]"), options{}, "a true\nb true"},
		"listen to nothing":              {states("b nop listen: [test: gone]"), options{}, "b true\nlisten_gone false requisite missing"},
		"failhard of one":                {states("a "+bad+" failhard: true", "b nop"), options{}, "a false state failed"},
		"failhard of all":                {states("a nop", "b "+bad, "c nop"), options{failhard: true}, "a true\nb false state failed"},
		"failhard of a requisite":        {states("a nop require: [test: b]", "b "+bad, "c nop"), options{failhard: true}, "b false state failed"},
		"failhard with test":             {states("a "+bad, "b nop"), options{failhard: true, test: true}, "a false state failed\nb true"},
		"parallel":                       {states("a nop parallel: true", "b "+bad+" parallel: true", "c nop require: [test: b]"), options{}, "a true\nb false state failed\nc false requisite failed"},
		"unknown function":               {states("a test.nope", "b nop require: [test: a]", "c nop"), options{}, "a false function unavailable\nb false requisite failed\nc true"},
		"unknown state":                  {states("a nope.x"), options{}, "a false function unavailable"},
		"a name that is none":            {states("a nop names: [5]"), options{}, "a false bad arguments"},
		"a panic is one state's":         {states("a odd.panics", "b nop"), options{}, "a false exception\nb true"},
		"require of an SLS":              {states("a nop require: [sls: gone]", "b nop"), options{}, "a false requisite missing\nb true"},
		"configurable":                   {states("a configurable_test_state changes: False; result: False", "b configurable_test_state"), options{}, "a false state failed\nb true+"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := told(results(t, c.sls, c.o)); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestGuardsAskCommandsAndFunctions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "there")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"onlyif: 'true'":                                                "",
		"onlyif: ['true', 'false']":                                     run.OnlyifFalse,
		"onlyif: [{fun: test.true}]":                                    "",
		"onlyif: [{fun: test.false}]":                                   run.OnlyifFalse,
		"onlyif: False":                                                 "",
		"unless: 'true'":                                                run.UnlessTrue,
		"unless: ['true', 'false']":                                     "",
		"unless: ['true', 'true']":                                      run.UnlessTrue,
		"unless: no-such-command-at-all":                                "",
		"unless: [{fun: test.echo, args: [yes]}]":                       run.UnlessTrue,
		"onlyif: [{fun: test.echo, text: ''}]":                          run.OnlyifFalse,
		"creates: " + file:                                              run.CreatesExists,
		"creates: [" + file + ", " + file + ".no]":                      "",
		"creates: [" + file + "]":                                       run.CreatesExists,
		"onlyif: [{fun: test.kwarg, a: {b: false}, get_return: 'a:b'}]": run.OnlyifFalse,
		"check_cmd: 'false'":                                            run.CheckCmdFailed,
		"check_cmd: ['true', 'true']":                                   "",
		"onlyif: test -e there":                                         run.OnlyifFalse,
		"onlyif: [{fun: no.such.thing}]":                                run.Exception,
	} {
		if got := results(t, states("a nop "+arg), options{})[0]; got.Reason != want {
			t.Errorf("%s: %q (%s), want %q", arg, got.Reason, got.Comment, want)
		}
	}
	if got := results(t, states("a nop onlyif: test -e there; cwd: "+dir), options{})[0]; got.Reason != "" {
		t.Errorf("a guard's cwd: %s", got.Reason)
	}
}

func TestAStateIsTriedAgainAsItsRetrySays(t *testing.T) {
	got := results(t, states("a odd.counts good: 3; retry: {attempts: 5, interval: 0}", "b odd.counts good: 9; retry: {attempts: 2, interval: 0}"), options{})
	if want := "a true\nb false state failed"; told(got) != want {
		t.Errorf("got\n%s\nwant\n%s", told(got), want)
	}
	if !strings.HasPrefix(got[0].Comment, `Attempt 1: Returned a result of "False", with the following comment: "not yet"`) || strings.Count(got[0].Comment, "Attempt") != 2 {
		t.Errorf("comment %q", got[0].Comment)
	}
	test := results(t, states("a odd.counts retry: True"), options{test: true})[0]
	if !strings.Contains(test.Comment, "would be retried every 30 seconds (with a splay of up to 0 seconds) a maximum of 2 times") {
		t.Errorf("with test: %q", test.Comment)
	}
}

func TestFunctionsGetTheirOwnArgumentsOnly(t *testing.T) {
	got := results(t, states(`a odd.echo mine: 1; order: 5; require: [test: b]; onlyif: 'true'; failhard: false; text: '__slot__:salt:test.echo("from slot") ~ /more'`, "b nop"), options{})
	if want := `{"mine":1,"text":"from slot/more"}`; got[1].Comment != want {
		t.Errorf("got %s, want %s", got[1].Comment, want)
	}
}

func TestAnUnknownArgumentIsAWarningWithItsPlace(t *testing.T) {
	got := results(t, states("a odd.counts god: 1"), options{})[0]
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "m.sls:3:7: 'god' is an invalid keyword argument for 'odd.counts'; did you mean") {
		t.Errorf("warnings %q", got.Warnings)
	}
}

func TestAnUnknownStateIsToldWithTheNearest(t *testing.T) {
	got := results(t, states("a test.noop"), options{})[0]
	if !strings.Contains(got.Comment, "State 'test.noop' was not found in SLS 'm'; did you mean test.nop? (m.sls:2:3)") {
		t.Errorf("comment %q", got.Comment)
	}
}

func TestACancelledRunEnds(t *testing.T) {
	high, err := compile.Tree(t.Context(), one(states("a nop", "b nop")), compile.ParseMods("base", "m"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := run.Runner{Families: families(new(atomic.Int64)), Host: &state.Host{Env: &modules.Env{}}}
	if got := r.Run(ctx, high.Low()); len(got) != 0 {
		t.Errorf("ran %s", told(got))
	}
}

// BenchmarkThousandStates has each state require the one before, in the wrong order: the deepest that it can get.
func BenchmarkThousandStates(b *testing.B) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("s%d nop require: [test: s%d]", i, i+1))
	}
	sls := states(append(lines, "s1000 nop")...)
	for b.Loop() {
		high, err := compile.Tree(b.Context(), one(sls), compile.ParseMods("base", "m"))
		if err == nil {
			err = high.Finish()
		}
		if err != nil {
			b.Fatal(err)
		}
		r := run.Runner{Families: families(new(atomic.Int64)), Host: &state.Host{Env: &modules.Env{}}}
		if got := r.Run(b.Context(), high.Low()); len(got) != 1001 {
			b.Fatal(len(got))
		}
	}
}
