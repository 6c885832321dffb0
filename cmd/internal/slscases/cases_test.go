package slscases_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/stateoutput"

	// What the built minion is made of: results of tests are kept until that changes.
	_ "github.com/brine-deploy/brine/cmd/internal/service"
	_ "github.com/brine-deploy/brine/minion"
	_ "github.com/brine-deploy/brine/minion/caller"
	_ "github.com/brine-deploy/brine/minion/local"
)

// hostDir is where the cases put what they make; its name is in their files.
const hostDir = "/tmp/sls-case"

// caseFile is a case.json.
type caseFile struct {
	MinionID    string `json:"minion_id"`
	Tags, Needs []string
	Config      map[string]json.RawMessage
	PathPrepend string `json:"path_prepend"`
	Runs        []struct {
		Fun, Shell string
		Args       []json.RawMessage
		Kwargs     map[string]json.RawMessage
	}
}

// TestStatesComeOutAsWithSalt needs root, for owners and because the cases have fixed places.
func TestStatesComeOutAsWithSalt(t *testing.T) {
	if os.Geteuid() != 0 {
		absent(t, "needs root")
	}
	defer syscall.Umask(syscall.Umask(0o022))
	work := t.TempDir()
	binary := filepath.Join(work, "brine-minion")
	readMain(t)
	must(t, "../../..", []string{"CGO_ENABLED=0"}, "go", "build", "-o", binary, "./cmd/brine-minion")
	must(t, ".", nil, "tar", "-xpzf", "testdata/sls.tar.gz", "-C", work)
	cases, err := filepath.Glob(filepath.Join(work, "sls", "*", "case.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { play(t, binary, dir) })
	}
}

// readMain reads the sources of the command itself, which nothing can import, for the same reason.
func readMain(t *testing.T) {
	t.Helper()
	names, err := filepath.Glob("../../brine-minion/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, name := range names {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
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

func must(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func play(t *testing.T, binary, dir string) {
	var c caseFile
	var expected struct{ Runs []expectation }
	load(t, filepath.Join(dir, "case.json"), &c)
	load(t, filepath.Join(dir, "expected.json"), &expected)
	programs := map[string][2]string{"dpkg": {"dpkg-query", "dpkg"}, "shadow-utils": {"useradd", "passwd"}}
	for _, need := range c.Needs {
		if p, known := programs[need]; known {
			if _, err := exec.LookPath(p[0]); err != nil {
				absent(t, fmt.Sprintf("needs %s (Debian package %s)", p[0], p[1]))
			}
		}
	}
	home := filepath.Join(hostDir, filepath.Base(dir))
	if err := errors.Join(os.RemoveAll(home), os.MkdirAll(home, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	script(t, dir, "setup.sh")
	defer script(t, dir, "teardown.sh")
	for i, r := range c.Runs {
		if r.Shell != "" {
			must(t, "/", environment(c, dir), "sh", "-c", r.Shell)
			continue
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			args := arguments(c, dir, r.Fun, r.Args, r.Kwargs)
			if slices.Contains(c.Tags, "advisory") {
				call(t, binary, environment(c, dir), args)
				return
			}
			expected.Runs[i].check(t, home, call(t, binary, environment(c, dir), args))
		})
	}
}

func script(t *testing.T, dir, name string) {
	if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
		must(t, dir, nil, "sh", "./"+name)
	}
}

func environment(c caseFile, dir string) []string {
	env := []string{"LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/root", "PATH=" + os.Getenv("PATH")}
	if c.PathPrepend != "" {
		env = append(env, "PATH="+filepath.Join(dir, c.PathPrepend)+":"+os.Getenv("PATH"))
	}
	return env
}

func arguments(c caseFile, dir, fun string, byPlace []json.RawMessage, byName map[string]json.RawMessage) []string {
	args := []string{
		"call", "--local", "--output", "json", "--id", c.MinionID, "--grains", filepath.Join(dir, "grains.json"),
		"--file-root", dir, "--pillar-root", filepath.Join(dir, "pillar"), fun,
	}
	for _, v := range byPlace {
		args = append(args, plain(v))
	}
	for key, v := range byName {
		args = append(args, key+"="+plain(v))
	}
	for key, v := range c.Config {
		args = append(args, "--option", key+"="+string(v))
	}
	return args
}

// plain is a value as people would write it.
func plain(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	var line bytes.Buffer
	if json.Compact(&line, v) != nil {
		return string(v)
	}
	return line.String()
}

func call(t *testing.T, binary string, env, args []string) *stateoutput.Report {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = "/", env, &stderr
	out, err := cmd.Output()
	report, bad := stateoutput.Decode(out)
	if bad != nil {
		t.Fatalf("%v: %v: %s\n%s", bad, err, out, &stderr)
	}
	if code := cmd.ProcessState.ExitCode(); code != report.Retcode {
		t.Errorf("exit status %d, retcode %d", code, report.Retcode)
	}
	if stderr.Len() > 0 {
		t.Logf("stderr: %s", &stderr)
	}
	return report
}

// expectation is what was recorded of one run.
type expectation struct {
	Retcode int
	OK      bool
	States  []stateoutput.State
	Class   string `json:"error_class"`
	File    string
	Line    *int
	Words   []string `json:"error_contains_any"`
	Return  json.RawMessage
	FS      []map[string]any
}

// check compares strictly what testdata/README.md says: wording may differ.
func (e expectation) check(t *testing.T, home string, r *stateoutput.Report) {
	t.Helper()
	if r.Retcode != e.Retcode || r.OK != e.OK {
		t.Errorf("ok %v, retcode %d; want %v, %d", r.OK, r.Retcode, e.OK, e.Retcode)
	}
	if got, want := lines(r.States), lines(e.States); got != want {
		t.Errorf("states\n%swant\n%s", detailed(r.States), want)
	}
	if e.Class != "" {
		e.checkErrors(t, r.Errors)
	} else {
		for _, bad := range r.Errors {
			t.Logf("error: %+v", bad)
		}
	}
	if e.Return != nil {
		want, err := data.FromJSON(e.Return)
		if err != nil || !data.Equal(r.Return, want) {
			got, _ := json.Marshal(r.Return)
			t.Errorf("returned\n%s\nwant\n%s", got, e.Return)
		}
	}
	if got, want := tree(t, home), described(e.FS); got != want {
		t.Errorf("files\n%swant\n%s", got, want)
	}
}

func (e expectation) checkErrors(t *testing.T, all []stateoutput.Error) {
	t.Helper()
	for _, bad := range all {
		said := slices.ContainsFunc(e.Words, func(w string) bool { return strings.Contains(bad.Message, w) })
		if bad.Class == e.Class && bad.File == e.File && (e.Line == nil || *e.Line == bad.Line) && (said || e.Words == nil) {
			return
		}
	}
	for _, bad := range all {
		t.Logf("%+v", bad)
	}
	line := 0
	if e.Line != nil {
		line = *e.Line
	}
	t.Errorf("no error of class %q in %s line %d with one of %q", e.Class, e.File, line, e.Words)
}
