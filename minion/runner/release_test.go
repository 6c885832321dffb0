package runner

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestAFirstReleaseGoesLive(t *testing.T) {
	h := newHost(t)
	files := app("v1", tree{
		"appspec.yml": "version: 0.0\nos: linux\nfiles: [{source: /, destination: /x}]\n" +
			"hooks:\n  AfterInstall:\n    - location: s/first\n      timeout: 30\n",
		"s/first": traced + `env | sort >"$BRINE_ROOT/env"; pwd >"$BRINE_ROOT/pwd"; readlink /proc/self/fd/0 >"$BRINE_ROOT/stdin"; echo hello` + "\n",
	})
	order := h.order(files)
	order.Env["TRACEPARENT"], order.Env["BRINE_ROOT"] = "00-abc-def-01", "/elsewhere"
	res := h.mustRelease(order)
	h.wantLive(files)
	want := []string{"BeforeInstall v1", "AfterInstall v1", "AfterInstall v1", "ApplicationStart v1", "ValidateService v1", "AfterAllowTraffic v1"}
	if got := h.traces(); !slices.Equal(got, want) {
		t.Errorf("scripts ran: %v, want %v", got, want)
	}
	target, err := os.Readlink(filepath.Join(h.root, "current"))
	must(t, err)
	if !regexp.MustCompile(`^releases/\d{8}T\d{6}\.\d{3}Z-` + order.Revision.Digest.Short() + `$`).MatchString(target) {
		t.Errorf("current points at %s", target)
	}
	release := filepath.Join(h.root, target)
	if got := strings.TrimSpace(h.read("pwd")); got != release {
		t.Errorf("script ran in %s, want %s", got, release)
	}
	if got := strings.TrimSpace(h.read("stdin")); got != os.DevNull {
		t.Errorf("stdin is %s", got)
	}
	env := h.read("env")
	for _, want := range []string{
		"APPLICATION_NAME=shop", "DEPLOYMENT_ID=d1", "DEPLOYMENT_GROUP_NAME=production", "LIFECYCLE_EVENT=AfterInstall", "BRINE_APP=shop",
		"BRINE_GROUP=production", "BRINE_DEPLOYMENT=d1", "BRINE_EVENT=AfterInstall", "BRINE_REVISION=" + string(order.Revision.Digest),
		"BRINE_COMMIT=c0ffee", "BRINE_REF=v1", "BRINE_RELEASE=" + release, "BRINE_ROOT=" + h.root, "BRINE_MINION=web1", "TRACEPARENT=00-abc-def-01",
	} {
		if !strings.Contains("\n"+env, "\n"+want+"\n") {
			t.Errorf("environment lacks %s:\n%s", want, env)
		}
	}
	if strings.Contains(env, "GOCACHE") || strings.Count(env, "\n") > 26 {
		t.Errorf("environment is not clean:\n%s", env)
	}
	first := res.Events[0]
	if first.Event != fleet.DownloadBundle || !strings.Contains(first.Tail, ": files is ignored with layout releases") {
		t.Errorf("first event: %+v", first)
	}
	if i := slices.IndexFunc(res.Events, func(e fleet.EventResult) bool { return e.Script == "s/first" }); i < 0 || res.Events[i].Tail != "hello" ||
		res.Events[i].Outcome != fleet.EventSucceeded || res.Events[i].Ended.Before(res.Events[i].Started) {
		t.Errorf("events: %+v", res.Events)
	}
	if len(h.events) != 2*len(res.Events) || h.events[0].Outcome != fleet.EventRunning {
		t.Errorf("%d reports of %d events", len(h.events), len(res.Events))
	}
}

func TestTheSameRevisionIsSkippedUnlessForced(t *testing.T) {
	h := newHost(t)
	order := h.order(app("v1", nil))
	h.mustRelease(order)
	h.traces()
	if res := h.mustRelease(order); res.Skipped != "already at this revision" || len(h.events) > 0 {
		t.Errorf("result %+v", res)
	}
	order.Force = true
	if res := h.mustRelease(order); res.Skipped != "" || len(h.names("releases")) != 2 || h.fetched.Load() != 2 {
		t.Errorf("forced: %+v, releases %v", res, h.names("releases"))
	}
}

func TestAnUpgradeStopsTheOldReleaseOnlyOnceTheNewOneIsThere(t *testing.T) {
	h := newHost(t)
	h.mustRelease(h.order(app("v1", nil)))
	h.traces()
	v2 := app("v2", tree{hook(fleet.BeforeInstall): "", hook(fleet.AfterInstall): ""})
	res := h.mustRelease(h.order(v2))
	h.wantLive(v2)
	want := []string{"BeforeBlockTraffic v1", "ApplicationStop v1", "ApplicationStart v2", "ValidateService v2", "AfterAllowTraffic v2"}
	if got := h.traces(); !slices.Equal(got, want) {
		t.Errorf("scripts ran: %v, want %v", got, want)
	}
	if res.Events[0].Event != fleet.DownloadBundle || res.Previous == "" || res.Reverted {
		t.Errorf("result %+v", res)
	}
}

func TestAFailureGoesBackToTheReleaseBefore(t *testing.T) {
	back := []string{"ApplicationStart v1", "ValidateService v1", "AfterAllowTraffic v1"}
	for _, c := range []struct {
		event fleet.LifecycleEvent
		want  []string // scripts that ran, up to the way back
		kept  int
	}{
		{fleet.BeforeInstall, []string{"BeforeBlockTraffic v1", "ApplicationStop v1", "BeforeInstall v2"}, 2},
		{fleet.AfterInstall, []string{"BeforeBlockTraffic v1", "ApplicationStop v1", "BeforeInstall v2", "AfterInstall v2"}, 2},
		{fleet.ApplicationStart, []string{
			"BeforeBlockTraffic v1", "ApplicationStop v1", "BeforeInstall v2", "AfterInstall v2", "ApplicationStart v2", "ApplicationStop v2",
		}, 2},
		{fleet.ValidateService, []string{
			"BeforeBlockTraffic v1", "ApplicationStop v1", "BeforeInstall v2", "AfterInstall v2", "ApplicationStart v2", "ValidateService v2", "ApplicationStop v2",
		}, 2},
	} {
		t.Run(string(c.event), func(t *testing.T) {
			h := newHost(t)
			v1 := app("v1", nil)
			h.mustRelease(h.order(v1))
			h.traces()
			bad := h.order(app("v2", tree{hook(c.event): fails}))
			res, err := h.release(bad)
			wantError(t, err, string(c.event)+": Script at specified location: "+hook(c.event)+" failed with exit code 3", "is live again")
			h.wantLive(v1)
			if got, want := h.traces(), slices.Concat(c.want, back); !slices.Equal(got, want) {
				t.Errorf("scripts ran:\n%v, want\n%v", got, want)
			}
			if !res.Reverted || !res.Serving || res.Live != res.Previous || res.Live == bad.Revision.Digest {
				t.Errorf("result %+v", res)
			}
			i := slices.IndexFunc(res.Events, func(e fleet.EventResult) bool { return e.Outcome == fleet.EventFailed })
			if e := res.Events[i]; e.ExitCode != 3 || e.Tail != "this went wrong" || e.Revert {
				t.Errorf("failed event: %+v", e)
			}
			if last := res.Events[len(res.Events)-1]; !last.Revert {
				t.Errorf("last event: %+v", last)
			}
			if got := h.names("releases"); len(got) != c.kept {
				t.Errorf("releases: %v", got)
			}
			h.mustRelease(h.order(app("v3", nil)))
		})
	}
}

func TestABrokenStopScriptLeavesTheReleaseRunningAndSaysWhatToDo(t *testing.T) {
	h := newHost(t)
	v1 := app("v1", tree{hook(fleet.ApplicationStop): fails})
	h.mustRelease(h.order(v1))
	_, err := h.release(h.order(app("v2", nil)))
	wantError(t, err, "ApplicationStop: Script", "remove the link current to deploy as if for the first time", "is live again")
	h.wantLive(v1)
	must(t, os.Remove(filepath.Join(h.root, "current")))
	h.mustRelease(h.order(app("v2", nil)))
}

func TestAFirstReleaseThatFailsLeavesNothingLive(t *testing.T) {
	h := newHost(t)
	res, err := h.release(h.order(app("v1", tree{hook(fleet.ValidateService): fails})))
	wantError(t, err, "ValidateService", "no release before it")
	if _, err := os.Lstat(filepath.Join(h.root, "current")); err == nil || res.Live != "" || res.Serving || res.Reverted {
		t.Errorf("current: %v, result %+v", err, res)
	}
	h.mustRelease(h.order(app("v2", nil)))
}

func TestAReleaseThatCannotComeBackIsNotTakenForServing(t *testing.T) {
	h := newHost(t)
	v1 := h.order(app("v1", tree{hook(fleet.ValidateService): traced + `test ! -e "$BRINE_ROOT/broken"` + "\n"}))
	h.mustRelease(v1)
	res, err := h.release(h.order(app("v2", tree{hook(fleet.AfterInstall): traced + `touch "$BRINE_ROOT/broken"; exit 1` + "\n"})))
	wantError(t, err, "AfterInstall", "going back failed too: ValidateService")
	if res.Serving || res.Reverted || res.Live != v1.Revision.Digest {
		t.Errorf("result %+v", res)
	}
	must(t, os.Remove(filepath.Join(h.root, "broken")))
	if res := h.mustRelease(v1); res.Skipped != "" {
		t.Errorf("a release that did not run was skipped: %+v", res)
	}
}

func TestAJobThatIsCancelledGoesBack(t *testing.T) {
	h := newHost(t)
	v1 := app("v1", nil)
	h.mustRelease(h.order(v1))
	ctx, cancel := context.WithCancel(t.Context())
	order := h.order(app("v2", tree{hook(fleet.AfterInstall): "#!/bin/sh\nsleep 60\n"}))
	res, err := h.Release(ctx, "cancelled", order, func(e fleet.EventResult) {
		if e.Event == fleet.AfterInstall {
			cancel()
		}
	})
	wantError(t, err, "AfterInstall", "is live again")
	if !res.Reverted || !res.Serving {
		t.Errorf("result %+v", res)
	}
	h.wantLive(v1)
	if _, err := h.Release(t.Context(), "cancelled", order, func(fleet.EventResult) {}); err == nil {
		t.Error("the same job ran twice")
	}
}

func TestKeepsGoodReleasesAndRollsBackWithoutADownload(t *testing.T) {
	h := newHost(t)
	orders := map[string]fleet.ReleaseOrder{}
	for _, v := range []string{"v1", "v2", "bad1", "v3", "bad2", "bad3"} {
		extra := tree{}
		if strings.HasPrefix(v, "bad") {
			extra[hook(fleet.ValidateService)] = fails
		}
		orders[v] = h.order(app(v, extra))
		o := orders[v]
		o.Keep = 2
		_, err := h.release(o)
		if (err != nil) != strings.HasPrefix(v, "bad") {
			t.Fatalf("%s: %v", v, err)
		}
	}
	var versions []string
	for _, id := range h.names("releases") {
		versions = append(versions, h.read("releases/"+id+"/version"))
	}
	if want := []string{"v2", "v3", "bad3"}; !slices.Equal(versions, want) {
		t.Errorf("kept %v, want %v", versions, want)
	}
	before := h.fetched.Load()
	h.put("/"+string(orders["v2"].Revision.Digest), nil)
	back := orders["v2"]
	back.Keep = 2
	res := h.mustRelease(back)
	h.wantLive(app("v2", nil))
	if h.fetched.Load() != before || res.Events[0].Event == fleet.DownloadBundle {
		t.Errorf("the rollback downloaded: %+v", res.Events)
	}
	if len(h.names("releases")) != 3 {
		t.Errorf("releases %v", h.names("releases"))
	}
}

func TestSharedPathsOutliveReleases(t *testing.T) {
	h := newHost(t)
	shared := []string{"log/", "config/secrets.env", "var/data", "public/uploads/"}
	v1 := h.order(app("v1", tree{"config/secrets.env": "seed", "var/data/file": "release's own", "log": "a file in the way"}))
	v1.Shared = shared
	h.mustRelease(v1)
	if h.read("shared/config/secrets.env") != "seed" || h.read("current/config/secrets.env") != "seed" {
		t.Error("the release's file is no seed")
	}
	if _, err := os.Stat(filepath.Join(h.root, "current/var/data/file")); err == nil {
		t.Error("the release's own content is still there")
	}
	for name, text := range map[string]string{"log/a": "1", "config/secrets.env": "changed", "var/data/b": "2", "public/uploads/c": "3"} {
		must(t, os.WriteFile(filepath.Join(h.root, "current", name), []byte(text), 0o600))
	}
	v2 := h.order(app("v2", tree{"config/secrets.env": "another seed"}))
	v2.Shared = append(shared, "new.txt")
	h.mustRelease(v2)
	for name, text := range map[string]string{"log/a": "1", "config/secrets.env": "changed", "var/data/b": "2", "public/uploads/c": "3", "new.txt": ""} {
		if got := h.read("current/" + name); got != text {
			t.Errorf("%s is %q, want %q", name, got, text)
		}
	}
	if target, err := os.Readlink(filepath.Join(h.root, "current/public/uploads")); err != nil || target != "../../../shared/public/uploads" {
		t.Errorf("link %q, %v", target, err)
	}
	h.wantTidy()
}

func TestJobsOfOneRootNeverInterleave(t *testing.T) {
	h := newHost(t)
	slow := traced + "sleep 0.1\n" + traced
	done := make(chan error)
	for _, v := range []string{"v1", "v2"} {
		order := h.order(app(v, tree{hook(fleet.BeforeInstall): slow}))
		go func() {
			_, err := h.Release(t.Context(), fleet.JobID("job-"+v), order, func(fleet.EventResult) {})
			done <- err
		}()
	}
	for range 2 {
		must(t, <-done)
	}
	live, other := h.read("current/version"), map[string]string{"v1": "v2", "v2": "v1"}[h.read("current/version")]
	got := h.traces()
	if i := slices.Index(got, "BeforeInstall "+live); i < 0 || slices.Contains(got[i:], "BeforeInstall "+other) || got[0] != "BeforeInstall "+other {
		t.Errorf("scripts ran: %v", got)
	}
}

func TestWhatCurrentIsMustBeOurs(t *testing.T) {
	for name, c := range map[string]struct {
		make func(root string) error
		want string
	}{
		"a directory": {func(root string) error { return os.MkdirAll(filepath.Join(root, "current"), 0o755) }, "is not a symbolic link"},
		"elsewhere":   {func(root string) error { return os.Symlink("/etc", filepath.Join(root, "current")) }, "move it away"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			must(t, os.MkdirAll(h.root, 0o755))
			must(t, c.make(h.root))
			_, err := h.release(h.order(app("v1", nil)))
			wantError(t, err, c.want)
		})
	}
	t.Run("another tool's release", func(t *testing.T) {
		h := newHost(t)
		must(t, os.MkdirAll(filepath.Join(h.root, "releases/2020"), 0o755))
		must(t, os.Symlink(filepath.Join(h.root, "releases/2020"), filepath.Join(h.root, "current")))
		res, err := h.release(h.order(app("v1", tree{hook(fleet.ValidateService): fails})))
		wantError(t, err, "(2020) is live again")
		if target, _ := os.Readlink(filepath.Join(h.root, "current")); target != "releases/2020" || !res.Serving {
			t.Errorf("current is %s, result %+v", target, res)
		}
		h.mustRelease(h.order(app("v2", nil)))
	})
}

func TestApplicationsOnOneHostAtOnceAreIsolated(t *testing.T) {
	h := newHost(t)
	apps := []string{"shop", "blog", "wiki"}
	top := filepath.Dir(h.root)
	// Each waits in its hook until all are there: they run at the same time, or never.
	meet := traced + `touch "$BRINE_ROOT.here"; while [ $(ls "$BRINE_ROOT"/../*.here | wc -l) -lt 3 ]; do sleep 0.01; done` + "\n"
	done := make(chan error)
	for i, name := range apps {
		version := "v" + name
		extra := tree{hook(fleet.AfterInstall): meet}
		if name == "wiki" {
			extra[hook(fleet.ValidateService)] = fails
		}
		order := h.order(app(version, extra))
		order.App, order.Root, order.Layout = fleet.AppName(name), filepath.Join(top, name), []string{"releases", "copy", "copy"}[i]
		go func() {
			_, err := h.Release(t.Context(), fleet.JobID("job-"+name), order, func(fleet.EventResult) {})
			if (err != nil) != (name == "wiki") {
				t.Errorf("%s: %v", name, err)
			}
			done <- err
		}()
	}
	for range apps {
		<-done
	}
	for name, file := range map[string]string{"shop": "shop/current/version", "blog": "blog/version"} {
		if got, err := os.ReadFile(filepath.Join(top, file)); err != nil || string(got) != "v"+name {
			t.Errorf("%s is %q, %v", name, got, err)
		}
		if got, err := os.ReadFile(filepath.Join(top, name, "running")); err != nil || string(got) != "v"+name {
			t.Errorf("%s runs %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(top, "wiki/version")); err == nil {
		t.Error("what failed is live")
	}
}
