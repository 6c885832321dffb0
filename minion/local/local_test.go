package local_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brine-deploy/brine/minion/local"
)

// host deploys bundles into DIR/srv.
type host struct {
	t   *testing.T
	dir string
	n   int
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "srv"), 0o755))
	return &host{t: t, dir: dir}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bundle makes one. $ in its appspec is DIR/srv; scripts are s/NAME and get their text.
func (h *host) bundle(spec string, files map[string]string) string {
	h.t.Helper()
	h.n++
	dir := filepath.Join(h.dir, fmt.Sprint("bundle", h.n))
	files["appspec.yml"] = strings.ReplaceAll("version: 0.0\nos: linux\n"+spec, "$", filepath.Join(h.dir, "srv"))
	for name, content := range files {
		file := filepath.Join(dir, name)
		must(h.t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(h.t, os.WriteFile(file, []byte(strings.ReplaceAll(content, "$SRV", filepath.Join(h.dir, "srv"))), 0o755))
	}
	return dir
}

func (h *host) deploy(o local.Options) local.Result {
	h.t.Helper()
	o.StateDir, o.Umask = filepath.Join(h.dir, "state"), 0o022
	return local.Deploy(h.t.Context(), o)
}

func (h *host) mustDeploy(bundle string) local.Result {
	h.t.Helper()
	r := h.deploy(local.Options{Bundle: bundle})
	if !r.OK || r.Phase != "" || r.Code != 0 {
		h.t.Fatalf("%+v", r)
	}
	return r
}

func (h *host) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(h.dir, "srv", name)) // empty when missing
	return string(data)
}

const (
	script = "#!/bin/sh\necho $LIFECYCLE_EVENT\n"
	files  = "files: [{source: app, destination: $}]\n"
)

func TestBadInputStopsNothing(t *testing.T) {
	const stop = files + "hooks:\n  ApplicationStop: [{location: s/h}]\n"
	for name, c := range map[string]struct {
		spec  string
		phase local.Phase
		want  string
	}{
		"bad YAML":             {"files: [", local.Parse, "appspec.yml:"},
		"unknown event":        {files + "hooks: {AfterInstal: [{location: s/h}]}", local.Parse, "unknown lifecycle events"},
		"missing script":       {files + "hooks: {ValidateService: [{location: s/none}]}", local.Parse, "appspec.yml:4:27: Script does not exist at specified location: s/none"},
		"script outside":       {files + "hooks: {ValidateService: [{location: ../h}]}", local.Parse, "../h"},
		"source outside":       {"files: [{source: ../x, destination: $}]", local.Parse, "leads outside of the revision"},
		"bad mode":             {files + "permissions: [{object: $, mode: 888}]", local.Parse, "contains an invalid character (8)"},
		"two sources":          {"files: [{source: app, destination: $}, {source: app, destination: $}]", local.Install, "specifies two source files"},
		"in the way":           {"files: [{source: app, destination: $/x}]", local.Install, "already exists at this location"},
		"unknown owner":        {files + "permissions: [{object: $, owner: nosuchuser_zz}]", local.Parse, "can't find user for nosuchuser_zz"},
		"relative":             {"files: [{source: app, destination: srv}]", local.Parse, "must be an absolute path"},
		"contradicting itself": {files + "permissions: [{object: $, mode: 600}, {object: $/a, mode: 600}]", local.Install, "more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			must(t, os.MkdirAll(filepath.Join(h.dir, "srv/x"), 0o755))
			must(t, os.WriteFile(filepath.Join(h.dir, "srv/x/a"), nil, 0o600))
			h.mustDeploy(h.bundle(files, map[string]string{"app/a": "1"}))
			if r := h.deploy(local.Options{Bundle: h.bundle(c.spec, map[string]string{"app/a": "2", "s/h": script})}); r.OK || r.Phase != c.phase ||
				!strings.Contains(r.Message, c.want) || len(r.Hooks) > 0 || h.read("a") != "1" {
				t.Errorf("%+v, a is %q", r, h.read("a"))
			}
			h.mustDeploy(h.bundle(stop, map[string]string{"app/a": "3", "s/h": script}))
			if r := h.deploy(local.Options{Bundle: h.bundle(c.spec, map[string]string{"app/a": "4", "s/h": script})}); len(r.Hooks) > 0 || h.read("a") != "3" {
				t.Errorf("%+v, a is %q", r, h.read("a"))
			}
		})
	}
}

func TestWhatAScriptBeforeInstallMendsIsNoObstacle(t *testing.T) {
	h := newHost(t)
	must(t, os.WriteFile(filepath.Join(h.dir, "srv/a"), []byte("foreign"), 0o600))
	bundle := map[string]string{"app/a": "1", "s/clear": "#!/bin/sh\nrm -f $SRV/a\n"}
	if r := h.deploy(local.Options{Bundle: h.bundle(files, bundle)}); r.OK || r.Phase != local.Install || h.read("a") != "foreign" {
		t.Errorf("%+v", r)
	}
	h.mustDeploy(h.bundle(files+"hooks: {BeforeInstall: [{location: s/clear}]}", bundle))
	if h.read("a") != "1" {
		t.Errorf("a is %q", h.read("a"))
	}
}

func TestTheRevisionBeforeStopsItsOwnApplication(t *testing.T) {
	h := newHost(t)
	spec := "hooks: {ApplicationStop: [{location: s/h}], BeforeBlockTraffic: [{location: s/h}], AfterInstall: [{location: s/h}]}"
	if r := h.mustDeploy(h.bundle(spec, map[string]string{"s/h": script + "echo one\n"})); !slices.Equal(r.Hooks, []string{"AfterInstall:s/h"}) {
		t.Errorf("first: %v", r.Hooks)
	}
	r := h.mustDeploy(h.bundle(spec, map[string]string{"s/h": script + "echo two\n"}))
	log, err := os.ReadFile(r.LogFile)
	must(t, err)
	var said []string
	for line := range strings.Lines(string(log)) {
		said = append(said, strings.TrimSpace(line[len("2006-01-02 15:04:05 "):]))
	}
	want := []string{
		"LifecycleEvent - BeforeBlockTraffic", "Script - s/h", "[stdout]BeforeBlockTraffic", "[stdout]one",
		"LifecycleEvent - ApplicationStop", "Script - s/h", "[stdout]ApplicationStop", "[stdout]one",
		"LifecycleEvent - AfterInstall", "Script - s/h", "[stdout]AfterInstall", "[stdout]two",
	}
	if !slices.Equal(said, want) {
		t.Errorf("the log says\n%s", strings.Join(said, "\n"))
	}
	must(t, os.RemoveAll(filepath.Dir(filepath.Dir(r.LogFile))))
	if r := h.mustDeploy(h.bundle(spec, map[string]string{"s/h": script})); !slices.Equal(r.Hooks, []string{"AfterInstall:s/h"}) {
		t.Errorf("after its revision is gone: %v", r.Hooks)
	}
}

func TestFiveRevisionsAreKeptAndTheInstalledOneAmongThem(t *testing.T) {
	h := newHost(t)
	good := h.mustDeploy(h.bundle(files, map[string]string{"app/a": "1"}))
	bad := h.bundle("os: mac", map[string]string{})
	var r local.Result
	for range 8 {
		r = h.deploy(local.Options{Bundle: bad})
	}
	kept, err := os.ReadDir(filepath.Dir(filepath.Dir(filepath.Dir(r.LogFile))))
	must(t, err)
	names := map[string]bool{}
	for _, e := range kept {
		names[e.Name()] = true
	}
	if len(kept) != 5 || !names[good.Deployment] || !names[r.Deployment] {
		t.Errorf("kept are %v", kept)
	}
}

func TestEventsRunInTheGivenOrder(t *testing.T) {
	spec := "hooks: {ApplicationStop: [{location: s/h}], BeforeInstall: [{location: s/h}], AfterInstall: [{location: s/h}], Mine: [{location: s/h}]}"
	for events, want := range map[string]string{
		"Mine,AfterInstall":                       "Mine:s/h AfterInstall:s/h",
		"Mine,ApplicationStop":                    "Mine:s/h ApplicationStop:s/h", // by then it is the new revision's
		"BeforeInstall,Install,Mine,AfterInstall": "BeforeInstall:s/h Mine:s/h AfterInstall:s/h",
		"AfterInstall,Install,Mine":               "validate: The only events that can be specified before Install are",
		"BeforeInstall,DownloadBundle,Mine":       "validate: The only events that can be specified before DownloadBundle are",
		"AfterInstall":                            "parse: appspec.yml:3:",
		"Mine,Other":                              "parse: You specified a lifecycle event which is not a default one",
	} {
		t.Run(events, func(t *testing.T) {
			h := newHost(t)
			r := h.deploy(local.Options{Bundle: h.bundle(spec, map[string]string{"s/h": script}), Events: strings.Split(events, ",")})
			got := strings.Join(r.Hooks, " ")
			if !r.OK {
				got = string(r.Phase) + ": " + r.Message
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestBadOptionsAreToldAtOnce(t *testing.T) {
	h := newHost(t)
	bundle := h.bundle("", map[string]string{})
	for want, o := range map[string]local.Options{
		"give --bundle PATH":                 {},
		"does not exist":                     {Bundle: filepath.Join(h.dir, "none")},
		"type rar is not a valid type":       {Bundle: bundle, Type: "rar"},
		"but it is a directory":              {Bundle: bundle, Type: "tgz"},
		"but it is a file":                   {Bundle: filepath.Join(bundle, "appspec.yml"), Type: "directory"},
		"it must be DISALLOW, OVERWRITE":     {Bundle: bundle, Exists: "maybe"},
		"did not find an AppSpec file":       {Bundle: bundle, Appspec: "other.yml"},
		"the appspec ../x is not inside the": {Bundle: bundle, Appspec: "../x"},
	} {
		if r := h.deploy(o); r.OK || r.Phase != local.Validate || r.Code != local.UnknownError || !strings.Contains(r.Message, want) {
			t.Errorf("want %q, got %+v", want, r)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(h.dir, "state")); err == nil {
		t.Errorf("state was made: %v", entries)
	}
}

func TestAScriptOfAKilledDeploymentIsEndedBeforeTheNext(t *testing.T) {
	h := newHost(t)
	ready := filepath.Join(h.dir, "srv/pid")
	self, err := os.Executable()
	must(t, err)
	bundle := h.bundle("hooks: {AfterInstall: [{location: s/h}]}", map[string]string{"s/h": "#!/bin/sh\necho $$ >$SRV/new && mv $SRV/new $SRV/pid\nwhile :; do sleep 0.05; done\n"})
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "BRINE_TEST_DEPLOY="+bundle, "BRINE_TEST_STATE="+filepath.Join(h.dir, "state"))
	must(t, cmd.Start())
	var pid int
	for limit := time.Now().Add(20 * time.Second); pid == 0; time.Sleep(10 * time.Millisecond) {
		data, _ := os.ReadFile(ready) // until it is there
		pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		if time.Now().After(limit) {
			t.Fatal("the script does not run")
		}
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatal("the script died with its deployment: this test shows nothing")
	}
	h.mustDeploy(h.bundle("", map[string]string{}))
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(status), ") Z ") {
		t.Errorf("the script still runs: %s", status)
	}
}

// TestMain lets the test's own binary be a deployment that can be killed.
func TestMain(m *testing.M) {
	if bundle := os.Getenv("BRINE_TEST_DEPLOY"); bundle != "" {
		local.Deploy(context.Background(), local.Options{Bundle: bundle, StateDir: os.Getenv("BRINE_TEST_STATE")})
		os.Exit(0)
	}
	os.Exit(m.Run())
}
