package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// shop sets the application up that the scripts about bad input deploy: apps.d/shop.yml, repo tagged v1, front.yml.
func shop(ts *testscript.TestScript, neg bool, _ []string) {
	ts.Check(os.CopyFS(ts.MkAbs("."), os.DirFS(filepath.Join(ts.Getenv("TESTDATA"), "shop"))))
	commit(ts, neg, []string{"v1"})
}

// fill FILE... replaces $NAME in files by the script's variables.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		expand(ts, file)
	}
}

// remember NAME keeps what the last program printed in a variable.
func remember(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// complains CODE REGEXP PROGRAM ARGS... runs a program that must end with the exit code, print no data, and say why in
// one line that matches: what follows that line (a hint, the line of a file) is indented.
func complains(ts *testscript.TestScript, _ bool, args []string) {
	exits(ts, false, append([]string{args[0]}, args[2:]...))
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("unexpected output:\n%s", out)
	}
	first, rest, _ := strings.Cut(strings.TrimRight(ts.ReadFile("stderr"), "\n"), "\n")
	if want, err := regexp.Compile(args[1]); err != nil || !want.MatchString(first) {
		ts.Fatalf("%q does not match %q (%v)", first, args[1], err)
	}
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "  ") {
			ts.Fatalf("more than one line: %q", line)
		}
	}
}

// variants NAME... commits and tags, one after the other, the tree of tag v1 with the files of variants/NAME over it.
func variants(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		run(ts, "git", "checkout", "--quiet", "--detach", "v1")
		run(ts, "cp", "-R", ts.MkAbs(filepath.Join("variants", name))+"/.", ".")
		commit(ts, neg, []string{name})
	}
	run(ts, "git", "checkout", "--quiet", "main")
}

// run runs a program in the repository.
func run(ts *testscript.TestScript, program string, args ...string) {
	cmd := exec.Command(program, args...)
	cmd.Dir = ts.MkAbs("repo")
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// mayMount says whether this process may mount file systems. On a machine for tests it must.
func mayMount() bool {
	dir, err := os.MkdirTemp("", "mount-")
	if err == nil {
		defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temporary directory
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k")
	}
	if err == nil {
		err = syscall.Unmount(dir, 0)
	}
	return err == nil || os.Getenv("CI") == "true"
}

// tmpfs DIR KIB mounts a file system of that size until the script ends. Only root may.
func tmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	kib, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+strconv.Itoa(kib)+"k"))
	ts.Defer(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			ts.Logf("unmount %s: %v", dir, err)
		}
	})
}
