package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/cmd"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "s.sh"), []byte("#!/bin/sh\necho \"$#:$1:$2\" > "+dir+"/args\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	host := statetest.Host(t, root)
	examples := []statetest.Example{
		{Function: "run", Name: "echo x >> " + dir + "/x", Restless: true},
		{Function: "script", Name: "args", Args: data.NewMap("source", "salt://s.sh", "args", "one 'two three'"), Restless: true},
		{Function: "wait", Name: "false", Idle: true},
		{Function: "wait_script", Name: "salt://s.sh", Idle: true},
	}
	for i := range examples {
		examples[i].Host, examples[i].Touches = host, []string{dir}
	}
	statetest.Run(t, cmd.States(), examples...)
	if got, err := os.ReadFile(filepath.Join(dir, "args")); err != nil || string(got) != "2:one:two three\n" {
		t.Errorf("the script got %q, %v", got, err)
	}
}

func TestRunTellsWhatACommandDid(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		line    string
		args    *data.Map
		verdict state.Verdict
		changes *data.Map
		comment string
	}{
		"output":      {"echo hello; echo err >&2", nil, state.True, data.NewMap("retcode", 0, "stdout", "hello", "stderr", "err"), `Command "echo hello; echo err >&2" run`},
		"failure":     {"exit 3", nil, state.False, data.NewMap("retcode", 3, "stdout", "", "stderr", ""), ""},
		"good code":   {"exit 4", data.NewMap("success_retcodes", []any{int64(4)}), state.True, data.NewMap("retcode", 0, "stdout", "", "stderr", ""), ""},
		"environment": {"echo $A $B; pwd", data.NewMap("env", []any{data.NewMap("A", int64(1)), "B=2"}, "cwd", dir), state.True, data.NewMap("retcode", 0, "stdout", "1 2\n"+dir, "stderr", ""), ""},
		"umask":       {"umask", data.NewMap("umask", "027"), state.True, data.NewMap("retcode", 0, "stdout", "0027", "stderr", ""), ""},
		"timeout":     {"sleep 20", data.NewMap("timeout", int64(1)), state.False, data.NewMap("retcode", 1, "stdout", "sleep 20 : Timed out after 1 seconds", "stderr", ""), ""},
		"changed":     {`echo a; echo "changed=yes comment='did it' extra=1"`, data.NewMap("stateful", true), state.True, data.NewMap("changed", "yes", "extra", "1", "retcode", 0, "stdout", "a", "stderr", ""), "did it"},
		"unchanged":   {`echo '{"changed":false,"comment":"no"}'`, data.NewMap("stateful", true), state.True, nil, "no"},
		"no cwd":      {"true", data.NewMap("cwd", "/no/such"), state.False, nil, `Desired working directory "/no/such" is not available`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			res := cmd.States()["run"].Run(t.Context(), &state.Call{Name: test.line, Args: test.args, Host: statetest.Host(t, "")})
			want, _ := data.From(test.changes).(*data.Map)
			if test.changes == nil {
				want = data.NewMap()
			}
			for k, v := range want.All() {
				want.Set(k, data.From(v))
			}
			if res.Changes == nil {
				res.Changes = data.NewMap()
			}
			if res.Verdict != test.verdict || !data.Equal(res.Changes, want) || !strings.Contains(res.Comment, test.comment) {
				t.Errorf("got %+v with changes %v, want changes %v", res, data.Plain(res.Changes), data.Plain(want))
			}
			if time.Since(began) > 10*time.Second {
				t.Error("it took too long")
			}
		})
	}
}
