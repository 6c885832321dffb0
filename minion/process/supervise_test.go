package process

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// supervisor is this test's own program.
func supervisor() Supervisor { return Supervisor{Program: "/proc/self/exe"} }

func TestASupervisedScriptIsLikeAnyOther(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		exit int
		kind error
		tail string
	}{
		"well":     {"#!/bin/sh\necho one; echo hunter2 >&2\n", 0, nil, "one\n**redacted**"},
		"badly":    {"#!/bin/sh\necho oh; exit 3\n", 3, ErrFailed, "oh"},
		"too long": {"#!/bin/sh\necho long; sleep 60\n", 143, ErrTime, "long"},
		"not":      {"#!/no/such\n", 0, ErrNotStarted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, c.text)
			s.Timeout, s.Secrets, s.Stamp = time.Second, []string{"hunter2"}, StampLayout
			var lines []string
			s.Output = func(l Line) {
				lines = append(lines, l.Text)
				if time.Since(l.Time) > time.Minute {
					t.Errorf("line of %s", l.Time)
				}
			}
			res, err := supervisor().Run(t.Context(), filepath.Join(s.Dir, "run"), s)
			if !errors.Is(err, c.kind) || res.ExitCode != c.exit || res.Tail != c.tail || strings.Join(lines, "\n") != c.tail {
				t.Errorf("%+v, %v, lines %q", res, err, lines)
			}
			if c.kind != nil && !strings.HasPrefix(err.Error(), "Script at specified location: s/script ") {
				t.Errorf("error %v", err)
			}
			again, err := Await(t.Context(), filepath.Join(s.Dir, "run"), s)
			if again.ExitCode != res.ExitCode || !errors.Is(err, c.kind) {
				t.Errorf("told again: %+v, %v", again, err)
			}
		})
	}
}

const slow = "#!/bin/sh\necho $$ >pid\necho begin\nwhile [ ! -e go ]; do sleep 0.02; done\necho end\nexit 7\n"

func TestAScriptThatIsLeftIsTakenUpAgain(t *testing.T) {
	s := script(t, slow)
	run := filepath.Join(s.Dir, "run")
	ctx, cancel := context.WithCancelCause(t.Context())
	s.Output = func(Line) { cancel(ErrLeave) }
	if _, err := supervisor().Run(ctx, run, s); !errors.Is(err, ErrLeave) {
		t.Fatalf("error %v", err)
	}
	if !Watched(run) || !alive(s.pid(t, "pid")) {
		t.Fatal("the script does not run any more")
	}
	seen := ""
	s.Output = func(l Line) { seen += l.Text }
	write(t, s, "go")
	res, err := Await(t.Context(), run, s)
	if res.ExitCode != 7 || !errors.Is(err, ErrFailed) || res.Tail != "begin\nend" || seen != "end" {
		t.Errorf("%+v, %v, seen %q", res, err, seen)
	}
}

func write(t *testing.T, s Spec, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// start is the life of a process that is killed while its script runs.
func start() {
	var s Spec
	if err := json.Unmarshal([]byte(os.Getenv("START")), &s); err != nil {
		panic(err)
	}
	_, _ = supervisor().Run(context.Background(), filepath.Join(s.Dir, "run"), s)
}

func killedStarter(t *testing.T, s Spec) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"START=" + string(text)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script runs", func() bool { return strings.Contains(s.file(t, "log"), "begin") })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return filepath.Join(s.Dir, "run")
}

func TestAScriptOutlivesTheKilledProcessThatStartedIt(t *testing.T) {
	s := script(t, slow)
	run := killedStarter(t, s)
	if !Watched(run) {
		t.Fatal("not watched")
	}
	time.AfterFunc(100*time.Millisecond, func() { write(t, s, "go") })
	if res, err := Await(t.Context(), run, s); res.ExitCode != 7 || !errors.Is(err, ErrFailed) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestAStrangersScriptCanBeStopped(t *testing.T) {
	s := script(t, slow)
	run := killedStarter(t, s)
	why := errors.New("somebody said so")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	res, err := Await(ctx, run, s)
	if res.ExitCode != 143 || !errors.Is(err, ErrStopped) || !errors.Is(err, why) || alive(s.pid(t, "pid")) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestAScriptWhoseSupervisorIsKilledIsEndedAndToldAsInterrupted(t *testing.T) {
	s := script(t, slow)
	run := killedStarter(t, s)
	text, err := os.ReadFile(filepath.Join(run, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor is gone", func() bool { return !Watched(run) })
	_, err = Await(t.Context(), run, s)
	if !errors.Is(err, ErrUnwatched) {
		t.Errorf("error %v", err)
	}
	eventually(t, "the script is gone", func() bool { return !alive(s.pid(t, "pid")) })
	if _, err := Await(t.Context(), filepath.Join(s.Dir, "never"), s); !errors.Is(err, ErrNotStarted) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkThreeEmptyScripts(b *testing.B) {
	for name, v := range map[string]Supervisor{"inside": {}, "supervised": supervisor()} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "script")
			if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				for n := range 3 {
					s := Spec{Name: "s", Path: file, Dir: dir, Log: filepath.Join(dir, "log")}
					if _, err := v.Run(b.Context(), filepath.Join(dir, strconv.Itoa(3*i+n)), s); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	b.Run("shell", func(b *testing.B) {
		file := filepath.Join(b.TempDir(), "script")
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := exec.Command("/bin/sh", "-c", `for i in 1 2 3; do "$0"; done`, file).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
