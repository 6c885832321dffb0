// Package e2e tests the real binaries as their users run them: a fleet on the loopback, scripts that type commands.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
)

// bin holds the binaries under test.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "brine-bin-")
		if err == nil {
			defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temporary directory
			err = fleettest.Build(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

type fleetKey struct{}

func fleetOf(ts *testscript.TestScript) *fleettest.Fleet {
	return ts.Value(fleetKey{}).(*fleettest.Fleet)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		WorkdirRoot:         shortDir(t),
		Setup:               setup,
		Condition: func(cond string) (bool, error) {
			if cond == "mounts" {
				return mayMount(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"master": master, "minion": minion, "commit": commit, "exits": exits, "waitfor": waitFor, "serves": serves, "corrupt": corrupt,
			"complains": complains, "shop": shop, "variants": variants, "fill": fill, "tmpfs": tmpfs, "remember": remember,
		},
	})
}

// shortDir is a temporary directory whose path leaves room for the name of a Unix socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func setup(env *testscript.Env) error {
	f, err := fleettest.New(env.WorkDir, bin)
	if err != nil {
		return err
	}
	ports, err := fleettest.FreePorts(5)
	if err != nil {
		return err
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		return err
	}
	home, cache := os.Getenv("HOME"), os.Getenv("GOCACHE")
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("BRINE_SOCKET", f.Socket)
	env.Setenv("BUS", f.Bus)
	env.Setenv("HTTP", f.HTTP)
	env.Setenv("FRONT", ports[4])
	for i, port := range ports[:4] {
		env.Setenv("PORT"+strconv.Itoa(i+1), port)
	}
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Setenv("TESTDATA", testdata)
	env.Setenv("WEBAPP", filepath.Join(bin, "webapp"))
	env.Setenv("HOME", home)
	env.Setenv("GOCACHE", cache)
	env.Values[fleetKey{}] = f
	env.Defer(func() {
		if err := f.Close(); err != nil {
			env.T().Log(err)
			env.T().FailNow()
		}
	})
	return nil
}

// expand replaces $NAME by the script's variable in every file of a directory, so that files can name ports.
func expand(ts *testscript.TestScript, path string) string {
	text := os.Expand(ts.ReadFile(path), func(name string) string {
		if v := ts.Getenv(name); v != "" {
			return v
		}
		return "$" + name
	})
	ts.Check(os.WriteFile(ts.MkAbs(path), []byte(text), 0o600))
	return text
}

// master start [EXTRA-CONFIG] | restart | kill | stop.
func master(ts *testscript.TestScript, neg bool, args []string) {
	f := fleetOf(ts)
	switch args[0] {
	case "start":
		extra := ""
		if len(args) > 1 {
			extra = expand(ts, args[1])
		}
		apps, _ := filepath.Glob(ts.MkAbs("apps.d/*"))
		for _, app := range apps {
			expand(ts, app)
		}
		check(ts, neg, f.StartMaster(context.Background(), extra))
		ts.Setenv("FLEETDIR", f.Dir)
	case "restart":
		check(ts, neg, f.RestartMaster(context.Background()))
	case "kill":
		check(ts, neg, f.Kill("master"))
	case "stop":
		check(ts, neg, f.Stop("master"))
	default:
		ts.Fatalf("master %s", args[0])
	}
}

// minion start ID [tag=value...] | kill ID | stop ID. A minion's service has the port of its tag.
func minion(ts *testscript.TestScript, neg bool, args []string) {
	f, id := fleetOf(ts), args[1]
	switch args[0] {
	case "start":
		tags := map[string]string{}
		for _, arg := range args[2:] {
			name, value, _ := strings.Cut(arg, "=")
			tags[name] = value
		}
		if port := tags["port"]; port != "" {
			shared := filepath.Join(f.Dir, id, "shop", "shared")
			ts.Check(os.MkdirAll(shared, 0o755))
			ts.Check(os.WriteFile(filepath.Join(shared, "port"), []byte(port+"\n"), 0o644))
		}
		check(ts, neg, f.StartMinion(context.Background(), id, tags))
	case "kill":
		check(ts, neg, f.Kill(id))
	case "stop":
		check(ts, neg, f.Stop(id))
	default:
		ts.Fatalf("minion %s", args[0])
	}
}

func check(ts *testscript.TestScript, neg bool, err error) {
	if neg && err == nil {
		ts.Fatalf("unexpected success")
	}
	if !neg {
		ts.Check(err)
	}
}

// commit TAG commits the directory repo and tags it.
func commit(ts *testscript.TestScript, _ bool, args []string) {
	repo := ts.MkAbs("repo")
	hooks, _ := filepath.Glob(filepath.Join(repo, "hooks/*/*.sh"))
	for _, hook := range hooks {
		ts.Check(os.Chmod(hook, 0o755))
	}
	for _, argv := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--allow-empty", "-m", "Release " + args[0]},
		{"tag", args[0]},
	} {
		cmd := exec.Command("git", argv...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			ts.Fatalf("git %v: %v\n%s", argv, err, out)
		}
	}
}

// exits CODE PROGRAM ARGS... runs a program that must end with that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// waitfor REGEXP PROGRAM ARGS... runs a program until its output matches.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	var last string
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		program := args[1]
		if ours := filepath.Join(bin, program); !strings.Contains(program, "/") && exists(ours) {
			program = ours
		}
		cmd := exec.Command(program, args[2:]...)
		cmd.Env = append(os.Environ(), "BRINE_SOCKET="+ts.Getenv("BRINE_SOCKET"))
		cmd.Dir = ts.MkAbs(".")
		out, _ := cmd.CombinedOutput() // an error is an output that does not match
		if last = string(out); want.MatchString(last) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("waited in vain for %q; last output:\n%s", args[0], last)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// serves PORT TEXT: the service at the port answers with the text; - means that nobody answers.
func serves(ts *testscript.TestScript, _ bool, args []string) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://127.0.0.1:" + args[0] + "/")
	if err != nil {
		if args[1] != "-" {
			ts.Fatalf("nobody answers at %s: %v", args[0], err)
		}
		return
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if got := strings.TrimSpace(string(body)); got != args[1] {
		ts.Fatalf("port %s serves %q, want %q", args[0], got, args[1])
	}
}

// corrupt alter|truncate DIR spoils every archive below DIR.
func corrupt(ts *testscript.TestScript, _ bool, args []string) {
	spoiled := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		spoiled++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if args[0] == "truncate" {
			text = text[:len(text)/2]
		} else {
			text[len(text)*3/4] ^= 1
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o600)
	}))
	if spoiled == 0 {
		ts.Fatalf("nothing to spoil below %s", args[1])
	}
}
