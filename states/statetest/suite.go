// Package statetest is the conformance suite of state families: what every function of every family keeps to.
package statetest

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/state"
)

// Example is one call that a function must be able to make true.
type Example struct {
	Function string
	Name     string
	Args     *data.Map
	Requires []state.Required
	// Prepare makes the host such that there is something to do.
	Prepare func(t *testing.T)
	// Restless functions act each time (cmd.run): the second run need not be without changes.
	Restless bool
	// Idle examples find nothing to do: the first run too changes nothing.
	Idle bool
	// Silent examples tell of no changes with test=True, as Salt's do.
	Silent bool
	// Host is where it runs; a new host with an empty file root unless given.
	Host *state.Host
	// Touches are the directories that test=True must leave as they are.
	Touches []string
}

// Host makes a host whose file server serves root, if it is not empty.
func Host(t *testing.T, root string) *state.Host {
	t.Helper()
	env := &modules.Env{
		ID: "test", Grains: data.NewMap(), Pillar: data.NewMap(), Opts: data.NewMap(), Saltenv: "base",
		Cache: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}
	if root != "" {
		env.Files = fileroot.New(root)
	}
	return &state.Host{
		Env:     env,
		Command: exec.CommandContext,
		Render: func(_ context.Context, _, text, _ string, extra *data.Map) (string, error) {
			return os.Expand(text, func(name string) string {
				v, _ := extra.Get(name)
				s, _ := v.(string)
				return s
			}), nil
		},
	}
}

// Run holds a family to the suite: each function has a Doc, refuses arguments of the wrong kind, and makes its examples
// true; with test=True it touches nothing and says that it would, and the second run finds nothing to do.
func Run(t *testing.T, family state.Family, examples ...Example) {
	t.Helper()
	for name, f := range family {
		t.Run(name+" is documented and refuses bad arguments", func(t *testing.T) { bad(t, f) })
		if !slices.ContainsFunc(examples, func(e Example) bool { return e.Function == name }) {
			t.Errorf("%s has no example", name)
		}
	}
	for _, e := range examples {
		f, ok := family[e.Function]
		if !ok {
			t.Errorf("the family has no function %s", e.Function)
			continue
		}
		t.Run(e.Function+" "+filepath.Base(e.Name), func(t *testing.T) { e.check(t, f) })
	}
}

// bad gives every parameter a value that none can mean.
func bad(t *testing.T, f state.Function) {
	t.Helper()
	if f.Doc == "" {
		t.Error("it has no Doc")
	}
	for i, param := range f.Params {
		if param == "*" && i == len(f.Params)-1 {
			continue
		}
		if slices.Contains(f.Params[:i], param) {
			t.Errorf("parameter %s is listed twice", param)
		}
	}
	if len(f.Params) == 0 {
		return
	}
	odd := data.NewMap()
	for _, param := range f.Params {
		odd.Set(param, []any{data.NewMap("odd", []any{data.NewMap()}), []any{}})
	}
	c := &state.Call{ID: "bad", Name: filepath.Join(t.TempDir(), "bad"), Args: odd, Host: Host(t, "")}
	res := f.Run(t.Context(), c)
	if res.Verdict != state.False || res.Reason != "bad arguments" || res.Comment == "" {
		t.Errorf("got %+v, want bad arguments", res)
	}
}

func (e Example) check(t *testing.T, f state.Function) {
	t.Helper()
	for key := range e.Args.All() {
		if name, _ := key.(string); !slices.Contains(f.Params, name) && !slices.Contains(f.Params, "*") {
			t.Errorf("%s is no parameter of it", name)
		}
	}
	if e.Prepare != nil {
		e.Prepare(t)
	}
	if e.Host == nil {
		e.Host = Host(t, "")
	}
	run := func(test bool) state.Result {
		return f.Run(t.Context(), &state.Call{
			ID: "example", SLS: "main", Name: e.Name, Args: e.Args, Test: test, Host: e.Host, Requires: e.Requires,
		})
	}
	before := e.snapshot(t)
	dry := run(true)
	if after := e.snapshot(t); !slices.Equal(before, after) {
		t.Errorf("test=True changed something:\nbefore %q\nafter  %q", before, after)
	}
	if want := e.dry(); dry.Verdict != want && !e.Restless || dry.Verdict == state.False {
		t.Errorf("with test=True: %+v, want verdict %d", dry, want)
	}
	if e.Idle == (dry.Changes.Len() > 0) && !e.Silent && !e.Restless {
		t.Errorf("with test=True it tells of changes %v", dry.Changes)
	}
	wet := run(false)
	if wet.Verdict != state.True || e.Idle == (wet.Changes.Len() > 0) && !e.Restless {
		t.Errorf("first run: %+v", wet)
	}
	again := run(false)
	if again.Verdict != state.True || again.Changes.Len() > 0 && !e.Restless {
		t.Errorf("second run: %+v", again)
	}
}

func (e Example) dry() state.Verdict {
	if e.Idle {
		return state.True
	}
	return state.Pending
}

// snapshot lists what is in the directories that must not change.
func (e Example) snapshot(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range e.Touches {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			line := path + " " + info.Mode().String() + " " + info.ModTime().String()
			if info.Mode().IsRegular() {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += " " + string(text)
			}
			all = append(all, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
