package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"brine": main}) }

// TestScripts runs the real program against masters that testdata/script stages: the directory m of a script holds the
// files of a fakeMaster.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   cmdExits,
			"json":    cmdJSON,
			"request": cmdRequest,
		},
	})
}

type masterKey struct{}

func setUp(env *testscript.Env) error {
	socket := filepath.Join(env.WorkDir, "s")
	m, err := startMaster(filepath.Join(env.WorkDir, "m"), socket)
	if err != nil {
		return err
	}
	env.Defer(m.stop)
	env.Values[masterKey{}] = m
	env.Setenv("TZ", "UTC")
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("BRINE_SOCKET", socket)
	return nil
}

// cmdExits is "exits CODE PROGRAM ARGS...": exec that looks at the exit code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.ExitCode() != want:
		ts.Fatalf("exit code %d, want %d", failed.ExitCode(), want)
	case err == nil && want != 0:
		ts.Fatalf("exit code 0, want %d", want)
	case err != nil && failed == nil:
		ts.Fatalf("%v", err)
	}
}

// cmdJSON is "json COUNT": stdout is that many JSON values and nothing else.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json COUNT")
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	n := 0
	for ; ; n++ {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || n != want {
		ts.Fatalf("%d JSON values on stdout, want %s", n, args[0])
	}
}

// cmdRequest is "[!] request TEXT": waits until the master got a request that contains TEXT; or it never did.
func cmdRequest(ts *testscript.TestScript, neg bool, args []string) {
	m, ok := ts.Value(masterKey{}).(*fakeMaster)
	if !ok || len(args) != 1 {
		ts.Fatalf("usage: request TEXT")
	}
	if neg {
		if m.seen(args[0]) {
			ts.Fatalf("the master got %s", args[0])
		}
		return
	}
	if err := eventually("request "+args[0], func() bool { return m.seen(args[0]) }); err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		ts.Fatalf("%v\nit got:\n%s", err, strings.Join(m.requests, "\n"))
	}
}
