package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// long is a script that waits until somebody lets it go.
const long = traced + `echo $$ >>"$BRINE_ROOT/../long"` + "\n" + `while [ ! -e "$BRINE_ROOT/../go" ]; do sleep 0.02; done` + "\n"

func newSupervisedHost(t *testing.T, layout string) *host {
	h := newHost(t)
	h.layout, h.program = layout, "/proc/self/exe"
	h.boot()
	return h
}

func (h *host) beside(name string) string { return filepath.Join(filepath.Dir(h.root), name) }

// waiting returns the pid of the long script, which runs.
func (h *host) waiting() int {
	h.t.Helper()
	var text []byte
	eventually(h.t, "the long script runs", func() bool {
		text, _ = os.ReadFile(h.beside("long"))
		return len(text) > 0
	})
	lines := strings.Fields(string(text))
	if len(lines) != 1 {
		h.t.Fatalf("the script ran %d times", len(lines))
	}
	pid, err := strconv.Atoi(lines[0])
	must(h.t, err)
	return pid
}

func (h *host) letGo() { must(h.t, os.WriteFile(h.beside("go"), nil, 0o600)) }

// leftInLong makes a host whose minion was killed inside a long script.
func leftInLong(t *testing.T, layout string, next tree) (*host, fleet.ReleaseOrder) {
	h := newSupervisedHost(t, layout)
	old := app("v1", tree{"only1": "1", hook(fleet.ApplicationStop): traced + `test "$LONG" = stop || exit 0` + "\n" + strings.TrimPrefix(long, traced)})
	h.mustRelease(h.order(old))
	h.traces()
	order := h.order(next)
	if next["long"] == "stop" {
		order.Env["LONG"] = "stop"
	}
	cmd := h.doomed(doom{Job: "doomed", Order: order})
	h.waiting()
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	h.boot()
	return h, order
}

func TestALongScriptOutlivesItsKilledMinionAndTheJobGoesOn(t *testing.T) {
	for _, layout := range []string{"releases", "copy"} {
		for _, event := range []fleet.LifecycleEvent{fleet.ApplicationStop, fleet.BeforeInstall, fleet.AfterInstall, fleet.ApplicationStart, fleet.ValidateService} {
			t.Run(fmt.Sprintf("%s/%s", layout, event), func(t *testing.T) {
				t.Parallel()
				extra := tree{"only2": "2", hook(event): long}
				switch event {
				case fleet.ApplicationStop:
					extra = tree{"long": "stop"}
				case fleet.ApplicationStart:
					extra[hook(event)] += `cp version "$BRINE_ROOT/running"` + "\n"
				}
				next := app("v2", extra)
				h, order := leftInLong(t, layout, next)
				left := h.recover()
				i := slices.IndexFunc(left, func(i Interrupted) bool { return i.Job == "doomed" })
				if i < 0 || !left[i].GoesOn || !alive(strconv.Itoa(h.waiting())) {
					t.Fatalf("left: %+v", left)
				}
				h.letGo()
				got, err := h.Resume(t.Context(), "doomed", func(fleet.EventResult) {})
				if err != nil || got.Outcome != fleet.Succeeded || got.Result.Live != order.Revision.Digest || !got.Result.Serving {
					t.Errorf("resumed: %+v, %v", got, err)
				}
				h.wantLive(next)
				h.waiting() // it ran once
				seen := map[string]bool{}
				for _, line := range h.traces() {
					if seen[line] {
						t.Errorf("ran twice: %s", line)
					}
					seen[line] = true
				}
				h.mustRelease(h.order(app("v3", nil)))
			})
		}
	}
}

func TestALongScriptThatFailsAfterItsMinionWasKilledTakesTheReleaseBack(t *testing.T) {
	h, _ := leftInLong(t, "copy", app("v2", tree{"only2": "2", hook(fleet.AfterInstall): long + "exit 9\n"}))
	h.letGo()
	got, err := h.Resume(t.Context(), "doomed", func(fleet.EventResult) {})
	if err != nil || got.Outcome != fleet.Failed || !strings.Contains(got.Reason, "failed with exit code 9") || !got.Result.Reverted {
		t.Errorf("resumed: %+v, %v", got, err)
	}
	if h.read("version") != "v1" || h.read("only2") != "" || h.read("only1") != "1" {
		t.Error("v1 is not back")
	}
}

func TestAfterARebootTheJobIsInterruptedAndTheOldReleaseIsBack(t *testing.T) {
	h, _ := leftInLong(t, "releases", app("v2", tree{hook(fleet.AfterInstall): long}))
	locks, err := filepath.Glob(filepath.Join(h.state, "logs/doomed/*.run/lock"))
	must(t, err)
	for _, lock := range locks {
		text, err := os.ReadFile(lock)
		must(t, err)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	eventually(t, "the supervisor is gone", func() bool {
		left := h.recover()
		i := slices.IndexFunc(left, func(i Interrupted) bool { return i.Job == "doomed" })
		return i >= 0 && !left[i].GoesOn && left[i].Outcome == fleet.Interrupted
	})
	if h.read("current/version") != "v1" || alive(strconv.Itoa(h.waiting())) {
		t.Error("v1 is not back, or the script runs on")
	}
}

func TestAMinionThatStopsLeavesAJobForItsSuccessor(t *testing.T) {
	for name, revert := range map[string]bool{"forwards": false, "on the way back": true} {
		t.Run(name, func(t *testing.T) {
			h := newSupervisedHost(t, "releases")
			v1, v2 := app("v1", nil), app("v2", tree{hook(fleet.AfterInstall): long})
			if revert {
				v1[hook(fleet.ApplicationStart)] = traced + `cp version "$BRINE_ROOT/running"; test ! -e "$BRINE_ROOT/bad" || exec "$BRINE_ROOT/current/long"` + "\n"
				v1["long"] = long
				v2[hook(fleet.AfterInstall)] = traced + `touch "$BRINE_ROOT/bad"; exit 1` + "\n"
			}
			h.mustRelease(h.order(v1))
			h.traces()
			ctx, stop := context.WithCancelCause(t.Context())
			done := make(chan error)
			go func() {
				_, err := h.Release(ctx, "left", h.order(v2), func(fleet.EventResult) {})
				done <- err
			}()
			pid := h.waiting()
			stop(ErrLeft)
			if err := <-done; !errors.Is(err, ErrLeft) || !alive(strconv.Itoa(pid)) {
				t.Fatalf("error %v", err)
			}
			h.boot()
			left := h.recover()
			if i := slices.IndexFunc(left, func(i Interrupted) bool { return i.Job == "left" }); i < 0 || !left[i].GoesOn {
				t.Fatalf("left: %+v", left)
			}
			h.letGo()
			got, err := h.Resume(t.Context(), "left", func(fleet.EventResult) {})
			want := map[bool]fleet.Outcome{false: fleet.Succeeded, true: fleet.Failed}[revert]
			if err != nil || got.Outcome != want || got.Result.Reverted != revert || !got.Result.Serving {
				t.Errorf("resumed: %+v, %v", got, err)
			}
			h.waiting() // it ran once
		})
	}
}
