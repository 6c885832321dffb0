package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func alive(pid string) bool {
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	return err == nil && syscall.Kill(n, 0) == nil && !zombie(n)
}

// zombie tells the dead whom nobody waits for, as in a container without an init, from the living.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
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

func TestAHookOverItsTimeEndsWithAllThatItStarted(t *testing.T) {
	h := newHost(t)
	files := app("v1", tree{
		"appspec.yml": spec + "AfterInstall: [{location: s/hang, timeout: 1}]\n",
		"s/hang": `#!/bin/sh
trap '' TERM
sh -c 'trap "" TERM; echo $$ >"$BRINE_ROOT/child"; while :; do sleep 0.05; done' &
echo waiting
while :; do sleep 0.05; done
`,
	})
	began := time.Now()
	res, err := h.release(h.order(files))
	wantError(t, err, "AfterInstall: Script at specified location: s/hang failed to complete in 1 seconds")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	last := res.Events[len(res.Events)-1]
	if last.ExitCode != 128+9 || last.Tail != "waiting" || last.Outcome != fleet.EventFailed {
		t.Errorf("event %+v", last)
	}
	eventually(t, "the child that ignores TERM is gone", func() bool { return !alive(h.read("child")) })
}

func TestADaemonThatKeepsTheOutputOpenNeitherHangsTheJobNorDies(t *testing.T) {
	h := newHost(t)
	files := app("v1", tree{hook(fleet.ApplicationStart): `#!/bin/sh
cp version "$BRINE_ROOT/running"
(echo $$ >/dev/null; while :; do echo still here; sleep 0.05; done) &
echo $! >"$BRINE_ROOT/daemon"
echo started
`})
	began := time.Now()
	res := h.mustRelease(h.order(files))
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	daemon := h.read("daemon")
	t.Cleanup(func() {
		n, _ := strconv.Atoi(strings.TrimSpace(daemon))
		_ = syscall.Kill(n, syscall.SIGKILL)
	})
	i := slices.IndexFunc(res.Events, func(e fleet.EventResult) bool { return e.Event == fleet.ApplicationStart })
	if !strings.Contains(res.Events[i].Tail, "started") {
		t.Errorf("tail %q", res.Events[i].Tail)
	}
	logs, err := filepath.Glob(filepath.Join(h.state, "logs/job1/*-ApplicationStart.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	before, err := os.Stat(logs[0])
	must(t, err)
	eventually(t, "the daemon writes on", func() bool {
		now, err := os.Stat(logs[0])
		return err == nil && now.Size() > before.Size()+50
	})
	if !alive(daemon) {
		t.Error("the daemon is dead")
	}
}

func TestScriptsRunAsTheyComeInRealLife(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   string // in the error; empty: it succeeds
	}{
		"not executable": {"echo plain", ""},
		"no first line":  {"exit 4", "failed with exit code 4"},
		"no interpreter": {"#!/no/such/interpreter\n", "it or the interpreter of its first line does not exist"},
		"killed":         {"#!/bin/sh\nkill -9 $$\n", "was killed by signal 9 (killed)"},
		"outputs":        {"#!/bin/sh\necho a >/dev/stderr; echo b >/dev/stdout\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			_, err := h.release(h.order(app("v1", tree{hook(fleet.AfterInstall): c.script})))
			if c.want == "" {
				must(t, err)
				return
			}
			wantError(t, err, c.want)
		})
	}
}

func TestScriptsRunAsTheOrderedUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	h := newHost(t)
	must(t, os.Chmod(filepath.Dir(h.state), 0o755))
	out := filepath.Join(filepath.Dir(h.state), "out")
	must(t, os.Mkdir(out, 0o777))
	must(t, os.Chmod(out, 0o777))
	files := tree{
		"version":                     "v1",
		"appspec.yml":                 spec + "AfterInstall: [{location: s/who, runas: daemon}, {location: s/who, sudo: true}]\n",
		"s/who":                       `#!/bin/sh` + "\n" + `echo "$(id -un) $USER $HOME" >>"$OUT/who"; chmod 666 "$OUT/who"` + "\n",
		hook(fleet.ValidateService):   "#!/bin/sh\n" + `echo "$(id -un) $(id -G)" >>"$OUT/who"; echo fine >/dev/stderr` + "\n",
		"public/uploads/placeholder":  "",
		hook(fleet.AfterAllowTraffic): "#!/bin/sh\ntouch public/uploads/mine\n",
	}
	order := h.order(files)
	order.Env["OUT"], order.RunAs, order.Shared = out, "nobody", []string{"public/uploads/"}
	h.mustRelease(order)
	got, err := os.ReadFile(filepath.Join(out, "who"))
	must(t, err)
	lines := strings.Split(string(got), "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "daemon daemon /") || !strings.HasPrefix(lines[1], "root root /") || !strings.HasPrefix(lines[2], "nobody ") {
		t.Errorf("scripts ran as:\n%s", got)
	}
}
