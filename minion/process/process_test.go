package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == SuperviseCommand:
		os.Exit(Supervise(os.Args[2]))
	case os.Getenv("START") != "":
		start()
	default:
		goleak.VerifyTestMain(m)
	}
}

// script is a Spec for a script with this text.
func script(t *testing.T, text string) Spec {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Name: "s/script", Path: file, Dir: dir, Env: []string{"PATH=/usr/bin:/bin", "MARK=" + dir}, Mark: "MARK=" + dir,
		Grace: 300 * time.Millisecond, Log: filepath.Join(dir, "log"),
	}
}

func (s Spec) file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func TestAScriptSeesNothingOfItsCaller(t *testing.T) {
	leak, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0) // without CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	s := script(t, `#!/bin/sh
env | cut -d= -f1 | sort | tr '\n' ' '; echo
ls -l /proc/$$/fd | sed 's/.* \([0-9]* -> \)/\1/'
grep flags /proc/$$/fdinfo/1
test "$(cut -d' ' -f6 /proc/$$/stat)" = $$ && echo leads a session
(: >/dev/tty) 2>/dev/null || echo no terminal
`)
	res, err := Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(res.Tail, "\n")
	var fds []string
	for _, l := range lines[1:] {
		if n, err := strconv.Atoi(strings.Fields(l)[0]); err == nil && !strings.HasSuffix(l, "/script") {
			fds = append(fds, strconv.Itoa(n))
		}
	}
	if got := strings.Join(fds, " "); got != "0 1 2" {
		t.Errorf("descriptors %s:\n%s", got, res.Tail)
	}
	for _, want := range []string{"MARK PATH PWD", "0 -> /dev/null\n", "leads a session\nno terminal"} {
		if !strings.Contains(res.Tail, want) {
			t.Errorf("not there: %q:\n%s", want, res.Tail)
		}
	}
	if strings.Contains(res.Tail, "04001") { // O_NONBLOCK, with which programs lose output
		t.Errorf("the output does not block:\n%s", res.Tail)
	}
}

func TestHowAScriptEndsIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		exit int
		kind error
		want string
	}{
		"well":           {"#!/bin/sh\nexit 0\n", 0, nil, ""},
		"badly":          {"#!/bin/sh\nexit 3\n", 3, ErrFailed, "Script at specified location: s/script failed with exit code 3"},
		"no first line":  {"exit 4", 4, ErrFailed, "failed with exit code 4"},
		"killed":         {"#!/bin/sh\nkill -9 $$\n", 137, ErrFailed, "was killed by signal 9 (killed)"},
		"no interpreter": {"#!/no/such\n", 0, ErrNotStarted, "the interpreter of its first line does not exist"},
		"too long":       {"#!/bin/sh\nsleep 60\n", 143, ErrTime, "failed to complete in 1 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, c.text)
			s.Timeout = time.Second
			res, err := Run(t.Context(), s)
			if !errors.Is(err, c.kind) || res.ExitCode != c.exit || c.want != "" && !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("exit %d, error %v", res.ExitCode, err)
			}
		})
	}
	t.Run("stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := script(t, "#!/bin/sh\necho here\nsleep 60\n")
		why := errors.New("somebody said so")
		s.Output = func(Line) { cancel(why) }
		_, err := Run(ctx, s)
		if !errors.Is(err, ErrStopped) || !errors.Is(err, why) {
			t.Errorf("error %v", err)
		}
		if _, err := Run(ctx, s); !errors.Is(err, ErrNotStarted) || !errors.Is(err, why) {
			t.Errorf("error %v", err)
		}
	})
}

func TestAScriptOverItsTimeEndsWithWhatLeftItsGroup(t *testing.T) {
	s := script(t, `#!/bin/sh
trap '' TERM
setsid sh -c 'trap "" TERM; echo $$ >far; while :; do sleep 0.05; done' &
sh -c 'trap "" TERM; echo $$ >near; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done
`)
	s.Timeout = time.Second
	res, err := Run(t.Context(), s)
	if !errors.Is(err, ErrTime) || res.ExitCode != 128+9 {
		t.Errorf("exit %d, error %v", res.ExitCode, err)
	}
	for _, name := range []string{"near", "far"} {
		if pid := s.pid(t, name); alive(pid) {
			t.Errorf("the %s process lives", name)
		}
	}
}

func (s Spec) pid(t *testing.T, name string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(s.file(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestADaemonThatKeepsTheOutputsOpenLivesOnAndHoldsNobodyUp(t *testing.T) {
	s := script(t, `#!/bin/sh
(while :; do echo "still here"; sleep 0.01; done) &
echo $! >daemon
echo started
`)
	s.LogLimit = 3000
	began := time.Now()
	res, err := Run(t.Context(), s)
	if err != nil || !res.Background || !strings.Contains(res.Tail, "started") || time.Since(began) > 5*time.Second {
		t.Errorf("%+v, %v, %s", res, err, time.Since(began))
	}
	daemon := s.pid(t, "daemon")
	t.Cleanup(func() { _ = syscall.Kill(daemon, syscall.SIGKILL) })
	before := len(s.file(t, "log"))
	eventually(t, "the log goes on", func() bool { return len(s.file(t, "log")) > before })
	time.Sleep(200 * time.Millisecond) // the daemon goes on, the log does not
	if got := len(s.file(t, "log")); got > 3000 || !alive(daemon) {
		t.Errorf("log of %d bytes, daemon alive: %t", got, alive(daemon))
	}
}

func TestOutputOfABackgroundThatEndsWithTheScriptIsWhole(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash (Debian package bash)")
	}
	s := script(t, "#!/bin/bash\nexec > >(while read l; do sleep 0.02; echo \"$l\"; done) 2>&1\necho one\necho two\n")
	res, err := Run(t.Context(), s)
	if err != nil || res.Tail != "one\ntwo" || res.Background {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestTheLogIsBoundedAndEndsWithTheEndAndNothingBlocks(t *testing.T) {
	s := script(t, "#!/bin/sh\necho first\nyes 0123456789 | head -c 29999992\necho last\n")
	s.LogLimit, s.Stamp, s.Tail = 10_000, "2006 ", 100
	lines := 0
	s.Output = func(Line) { lines++ }
	res, err := Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	log := s.file(t, "log")
	year := time.Now().Format("2006 ")
	if len(log) > 10_500 || !strings.HasPrefix(log, year+"first\n") || !strings.HasSuffix(log, "0123456789\nlast\n") ||
		!strings.Contains(log, "[brine: output is left out from here: the log is limited to 10000 bytes") || !strings.Contains(log, " bytes were left out; the last lines]\n") {
		t.Errorf("log of %d bytes: %.50q ... %.300q", len(log), log, log[max(0, len(log)-300):])
	}
	if lines < 29999992/11 || res.Dropped < 29_000_000 || !strings.HasSuffix(res.Tail, "0123456789\nlast") || len(res.Tail) > 100 {
		t.Errorf("%d lines, %+v", lines, res)
	}
	if _, err := Run(t.Context(), s); err != nil || len(s.file(t, "log")) > 11_000 {
		t.Errorf("a log that is full grows: %v", err)
	}
}

func TestOutputsAreToldApartWhenAsked(t *testing.T) {
	s := script(t, "#!/bin/sh\necho out\necho err >&2\nprintf 'no end' >/dev/stderr\nprintf 'bad \\377\\r\\n'\n")
	s.Split, s.Stamp = true, "2006 "
	byStream := map[Stream]string{}
	s.Output = func(l Line) { byStream[l.Stream] += l.Text + ";" }
	res, err := Run(t.Context(), s)
	if err != nil || byStream[Stdout] != "out;bad ?;" || byStream[Stderr] != "err;no end;" {
		t.Errorf("%v, %v", byStream, err)
	}
	if !strings.Contains("\n"+res.Tail, "\n[stderr]err\n") || !strings.Contains(s.file(t, "log"), time.Now().Format("2006 ")+"[stdout]out\n") {
		t.Errorf("tail %q, log %q", res.Tail, s.file(t, "log"))
	}
}

func TestATailIsTheLastWholeLinesThatFit(t *testing.T) {
	const limit = 2000
	line := strings.Repeat("x", 99) + "\n"
	long := strings.Repeat("x", 499) + "\n"
	for name, c := range map[string]struct{ in, want string }{
		"nothing":       {"", ""},
		"a little":      {"a\nb\n", "a\nb"},
		"no end":        {"a\nb", "a\nb"},
		"a lot":         {strings.Repeat(line, 5000), strings.TrimSuffix(strings.Repeat(line, limit/100), "\n")},
		"on the border": {"y\n" + strings.Repeat(long, 4), strings.TrimSuffix(strings.Repeat(long, 4), "\n")},
		"one long line": {strings.Repeat("x", 9*longestLine), strings.Repeat("x", limit)},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := newSink(Spec{Tail: limit})
			if err != nil {
				t.Fatal(err)
			}
			p := &pipe{sink: k, redact: newRedactor(nil)}
			p.take([]byte(c.in))
			p.end()
			if got, _ := k.finish(); got != c.want {
				t.Errorf("got %d bytes %.50q, want %d", len(got), got, len(c.want))
			}
		})
	}
}
