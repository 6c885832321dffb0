package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// summarize runs the whole program over recorded events.
func summarize(t *testing.T, ci bool, events string, args ...string) (string, int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(file, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code := run(append(args, "--", "cat", file), &out, io.Discard, ci)
	return out.String(), code
}

const pass = `{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"    a_test.go:3: chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestOne"}
{"Action":"pass","Package":"m/a","Elapsed":0.5}
{"Action":"skip","Package":"m/none","Elapsed":0}
`

const skipped = `{"Action":"output","Package":"m/b","Test":"TestProxy","Output":"    b_test.go:59: needs haproxy (Debian package haproxy)\n"}
{"Action":"skip","Package":"m/b","Test":"TestProxy"}
{"Action":"pass","Package":"m/b"}
`

func TestPackagesThatPassTakeALineEach(t *testing.T) {
	out, code := summarize(t, false, pass)
	if code != 0 || strings.Contains(out, "chatter") || !strings.HasPrefix(out, "ok    m/a ") || !strings.HasSuffix(out, "\n1 passed, 0 failed, 0 skipped\n") {
		t.Errorf("code %d\n%s", code, out)
	}
}

func TestWhatIsSkippedIsNamedWithThePackagesThatBringIt(t *testing.T) {
	out, code := summarize(t, false, pass+skipped, "-note", "the race detector: needs gcc (Debian packages gcc, libc6-dev)")
	for _, want := range []string{
		"needs haproxy (Debian package haproxy)\n      m/b.TestProxy\n", "the race detector: needs gcc",
		"apt-get install gcc haproxy libc6-dev\n", "1 passed, 0 failed, 2 skipped\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q", want)
		}
	}
	if code != 0 || t.Failed() {
		t.Errorf("code %d\n%s", code, out)
	}
}

func TestInCIASkipIsAFailure(t *testing.T) {
	if out, code := summarize(t, true, pass+skipped); code != 1 || !strings.Contains(out, "what is skipped has failed") {
		t.Errorf("code %d\n%s", code, out)
	}
	if out, code := summarize(t, true, pass); code != 0 {
		t.Errorf("code %d\n%s", code, out)
	}
}

func TestAFailedPackageIsShownInFull(t *testing.T) {
	tests := map[string]struct {
		events string
		want   []string
	}{
		"a test": {
			`{"Action":"output","Package":"m/c","Test":"TestBad","Output":"    c_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"m/c","Test":"TestBad"}
{"Action":"output","Package":"m/c","Output":"FAIL\tm/c\t0.1s\n"}
{"Action":"fail","Package":"m/c","Elapsed":0.1}
`,
			[]string{"FAIL  m/c", "got 1, want 2", "1 passed, 1 failed, 0 skipped"},
		},
		"the compiler": {
			`{"ImportPath":"m/d [m/d.test]","Action":"build-output","Output":"d_test.go:1:1: undefined: x\n"}
{"ImportPath":"m/d [m/d.test]","Action":"build-fail"}
{"Action":"fail","Package":"m/d","FailedBuild":"m/d [m/d.test]"}
`,
			[]string{"FAIL  m/d", "undefined: x", "1 passed, 1 failed, 0 skipped"},
		},
		"an end without a test": {
			`{"Action":"output","Package":"m/e","Output":"goleak: found unexpected goroutines\n"}
{"Action":"fail","Package":"m/e"}
`,
			[]string{"FAIL  m/e", "goleak", "1 passed, 1 failed, 0 skipped"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, code := summarize(t, false, pass+tt.events)
			for _, want := range tt.want {
				if code != 1 || !strings.Contains(out, want) {
					t.Errorf("code %d, want %q in\n%s", code, want, out)
				}
			}
		})
	}
}

func TestNothingTestedIsAFailure(t *testing.T) {
	for name, command := range map[string][]string{
		"no events": {"true"}, "a command that fails": {"false"}, "no such command": {"/no/such/command"},
	} {
		var out bytes.Buffer
		if code := run(append([]string{"--"}, command...), &out, io.Discard, false); code != 1 {
			t.Errorf("%s: code %d\n%s", name, code, &out)
		}
	}
}
