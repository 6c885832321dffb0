package appspeccases_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	hostDir    = "/tmp/appspec-case"
	outsideDir = "/tmp/appspec-outside"
)

// TestBundlesComeOutAsWithTheRealAgent needs root, for owners and because the cases have fixed places.
func TestBundlesComeOutAsWithTheRealAgent(t *testing.T) {
	if os.Geteuid() != 0 {
		absent(t, "needs root")
	}
	defer syscall.Umask(syscall.Umask(0o022))
	work := t.TempDir()
	binary := filepath.Join(work, "brine-minion")
	run(t, "../../..", []string{"CGO_ENABLED=0"}, "go", "build", "-o", binary, "./cmd/brine-minion")
	run(t, ".", nil, "tar", "-xpzf", "testdata/appspec.tar.gz", "-C", work)
	cases, err := filepath.Glob(filepath.Join(work, "appspec", "*", "expected.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { play(t, binary, dir) })
	}
}

// absent skips what this machine cannot do, which CI must be able to.
func absent(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func play(t *testing.T, binary, dir string) {
	name := filepath.Base(dir)
	e := load(t, dir)
	for _, need := range e.Requires {
		if program, ok := strings.CutPrefix(need, "cmd:"); ok {
			if _, err := exec.LookPath(program); err != nil {
				absent(t, "needs "+program)
			}
		}
	}
	home, state := filepath.Join(hostDir, name), t.TempDir()
	for _, d := range []string{home, outsideDir} {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = errors.Join(os.RemoveAll(home), os.RemoveAll(outsideDir)) })
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "setup.sh")); err == nil {
		run(t, dir, nil, "sh", "setup.sh")
	}
	for i, s := range e.Steps {
		if s.Pre != "" {
			run(t, dir, nil, "sh", "-c", s.Pre)
		}
		r := deploy(t, binary, state, dir, home, s)
		judge(t, name, i+1, s.outcome, e.Safer, r)
	}
}

// deploy runs one step as a user does.
func deploy(t *testing.T, binary, state, dir, home string, s step) result {
	t.Helper()
	args := []string{"local", "--output", "json", "--state-dir", state, "--bundle", filepath.Join(dir, cmp.Or(s.Options.Location, s.Bundle, "bundle"))}
	var events []string
	switch v := s.Options.Events.(type) {
	case string:
		events = append(events, v)
	case []any:
		for _, e := range v {
			events = append(events, fmt.Sprint(e))
		}
	}
	for flag, value := range map[string]string{
		"type": cmp.Or(s.Options.Type, "directory"), "application": s.Options.Application, "group": s.Options.Group, "group-name": s.Options.GroupName,
		"file-exists-behavior": s.Options.Exists, "appspec-filename": s.Options.Appspec, "events": strings.Join(events, ","),
	} {
		if value != "" {
			args = append(args, "--"+flag, value)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, &out, &errs
	started := time.Now()
	err := cmd.Run()
	r := result{took: time.Since(started), home: home}
	if jsonErr := json.Unmarshal(out.Bytes(), &r); jsonErr != nil {
		t.Fatalf("%v\n%s%s", errors.Join(err, jsonErr), &out, &errs)
	}
	if (err == nil) != r.OK {
		t.Errorf("ok is %v and it ended with %v", r.OK, err)
	}
	return r
}

// judge accepts what the real agent does, or what the case calls safer.
func judge(t *testing.T, name string, number int, o outcome, better *safer, r result) {
	t.Helper()
	misses := o.misses(r)
	if len(misses) == 0 {
		return
	}
	var others []string
	if better != nil {
		other, ok := better.outcome, better.Words == ""
		if better.Words != "" {
			other, ok = saferSteps(t, name, number, o)
		}
		if others = other.misses(r); ok && len(others) == 0 {
			t.Logf("step %d: safer than the agent: %s", number, r.Message)
			return
		}
	}
	t.Errorf("step %d is not as the agent's:\n%s\nnor safer:\n%s\nmessage: %s", number, strings.Join(misses, "\n"), strings.Join(others, "\n"), r.Message)
}
