package build_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/build"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tree is a source that always gives the same files.
type tree map[string]string

func (tree) Resolve(context.Context, string) (fleet.Origin, error) { return origin(), nil }

func (t tree) Export(_ context.Context, _ fleet.Origin, dir string) error {
	for name, content := range t {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func origin() fleet.Origin {
	return fleet.Origin{Ref: "v1", Commit: strings.Repeat("c0", 20), Time: time.Unix(1_700_000_000, 0).UTC()}
}

// bench is a builder and all that it needs.
type bench struct {
	t        *testing.T
	builder  build.Builder
	store    *store.Store
	identity string
	lines    []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	identity, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(&mem.Mem{})
	return &bench{t: t, store: s, identity: identity, builder: build.Builder{Store: s, Scratch: filepath.Join(t.TempDir(), "scratch")}}
}

func (b *bench) build(ctx context.Context, files tree, settings fleet.Build) (fleet.Revision, error) {
	b.lines = nil
	app := fleet.Application{Name: "shop", Build: settings}
	rev, err := b.builder.Build(ctx, app, files, origin(), b.identity, "ann", func(line string) { b.lines = append(b.lines, line) })
	if _, left := os.Stat(filepath.Join(b.builder.Scratch, "shop")); !errors.Is(left, fs.ErrNotExist) {
		b.t.Errorf("the tree of the build is still there (%v)", left)
	}
	return rev, err
}

func (b *bench) mustBuild(files tree, settings fleet.Build) fleet.Revision {
	b.t.Helper()
	rev, err := b.build(b.t.Context(), files, settings)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, strings.Join(b.lines, "\n"))
	}
	return rev
}

// unpack fetches a revision as a minion would, and gives its directory.
func (b *bench) unpack(rev fleet.Revision) string {
	b.t.Helper()
	dir := b.t.TempDir()
	r, err := b.store.Get(b.t.Context(), rev, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	plain, err := archive.Open(r, b.identity)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := archive.Unpack(b.t.Context(), plain, dir, rev.Digest, archive.Limits{}); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

func sh(scripts ...string) fleet.Build {
	var b fleet.Build
	for _, s := range scripts {
		b.Steps = append(b.Steps, fleet.BuildStep{Run: s})
	}
	return b
}

func TestABuildEndsAsAStoredRevisionThatUnpacks(t *testing.T) {
	b := newBench(t)
	settings := sh("cat in | tr a-z A-Z > out; echo 'to out'; echo 'to err' >&2", "ls; touch x.log")
	settings.Exclude = []string{"*.log"}
	rev := b.mustBuild(tree{"in": "content"}, settings)
	if got, err := os.ReadFile(filepath.Join(b.unpack(rev), "out")); string(got) != "CONTENT" {
		t.Errorf("built %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(b.unpack(rev), "x.log")); err == nil {
		t.Error("an excluded file was packed")
	}
	want := []string{"$ cat in | tr a-z A-Z > out; echo 'to out'; echo 'to err' >&2", "to out", "to err", "$ ls; touch x.log", "in", "out"}
	if !slices.Equal(b.lines, want) {
		t.Errorf("output %q", b.lines)
	}
	stored, err := b.store.Stat(t.Context(), rev)
	if err != nil || rev.Stored != stored || rev.Size == 0 || rev.App != "shop" || rev.BuiltBy != "ann" || rev.Origin != origin() || rev.Recipe != build.Recipe(fleet.Application{Build: settings}) {
		t.Errorf("revision %+v, stored %d, %v", rev, stored, err)
	}
	if again := b.mustBuild(tree{"in": "content"}, settings); again.Digest != rev.Digest {
		t.Errorf("the same input gave %s and %s", rev.Digest, again.Digest)
	}
}

func TestAFailingStepIsNamedWithItsEnd(t *testing.T) {
	b := newBench(t)
	for want, settings := range map[string]fleet.Build{
		"build step 2 (`make build`) failed with exit code 2":               {Steps: []fleet.BuildStep{{Run: "echo fine"}, {Argv: []string{"make", "build"}}}},
		"build step 1 (`echo the end; exit 3 ...`) failed with exit code 3": sh("echo the end; exit 3\necho never"),
		"build step 1 (`echo the end; kill -9 $$`) failed: signal: killed":  sh("echo the end; kill -9 $$"),
		"build step 1 (`nosuchprogram x`) failed: ":                         {Steps: []fleet.BuildStep{{Argv: []string{"nosuchprogram", "x"}}}},
		"failed: timed out after 50ms":                                      {Steps: []fleet.BuildStep{{Run: "echo the end; sleep 600", Timeout: fleet.Duration(50 * time.Millisecond)}}},
	} {
		files := tree{}
		if strings.Contains(want, "make") {
			settings.Env = map[string]string{"PATH": t.TempDir() + ":/usr/bin:/bin"}
			program := filepath.Join(strings.Split(settings.Env["PATH"], ":")[0], "make") // only the step's own PATH has it
			if err := os.WriteFile(program, []byte("#!/bin/sh\necho the end; exit 2"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.build(t.Context(), files, settings)
		step, ok := errors.AsType[*build.StepError](err)
		if !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
			continue
		}
		if !strings.Contains(want, "nosuch") && !strings.HasSuffix(step.Tail, "the end") {
			t.Errorf("%q: tail %q", want, step.Tail)
		}
	}
}

func TestBadSettingsAreFoundBeforeAnythingRuns(t *testing.T) {
	b := newBench(t)
	for want, settings := range map[string]fleet.Build{
		"step 1: set either": {Steps: []fleet.BuildStep{{}}},
		"step 2: set either": {Steps: []fleet.BuildStep{{Run: "x"}, {Run: "x", Argv: []string{"x"}}}},
		`pattern "[a"`:       {Exclude: []string{"[a"}},
	} {
		if _, err := b.build(t.Context(), nil, settings); err == nil || !strings.Contains(err.Error(), want) || len(b.lines) > 0 {
			t.Errorf("%s: %v, output %q", want, err, b.lines)
		}
	}
}

func TestWhatEveryMinionWouldRefuseIsNotStored(t *testing.T) {
	b := newBench(t)
	const spec = "version: 0.0\nos: linux\nhooks: {AfterInstall: [{location: after.sh}]}"
	b.mustBuild(tree{"appspec.yml": spec, "after.sh": "true"}, fleet.Build{})
	b.mustBuild(tree{"appspec.yml": spec}, fleet.Build{Exclude: []string{"/appspec.*"}})
	for want, c := range map[string]struct {
		files   tree
		exclude []string
	}{
		"appspec.yml:3:24: Script does not exist": {files: tree{"appspec.yml": spec}},
		"location: after.sh":                      {files: tree{"appspec.yml": spec, "after.sh": "true"}, exclude: []string{"*.sh"}},
		"appspec.yml:2:5: unsupported":            {files: tree{"appspec.yml": "version: 0.0\nos: windows"}},
	} {
		rev, err := b.build(t.Context(), c.files, fleet.Build{Exclude: c.exclude})
		if err == nil || !strings.Contains(err.Error(), want) || rev.Digest != "" {
			t.Errorf("%s: %v, %+v", want, err, rev)
		}
	}
}

func TestStepsSeeACleanEnvironment(t *testing.T) {
	b := newBench(t)
	t.Setenv("MASTER_SECRET", "hidden")
	t.Setenv("HOME", filepath.Join(t.TempDir(), "gone"))
	settings := fleet.Build{
		Env:   map[string]string{"A": "app", "B": "app", "BRINE_APP": "fake"},
		Steps: []fleet.BuildStep{{Run: "env > env", Env: map[string]string{"B": "step"}}, {Run: "test \"$B\" = app && mkdir -p $HOME/cache"}},
	}
	text, err := os.ReadFile(filepath.Join(b.unpack(b.mustBuild(tree{}, settings)), "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := "\n" + string(text)
	for _, want := range []string{"A=app", "B=step", "BRINE_APP=shop", "BRINE_REF=v1", "BRINE_COMMIT=c0c0", "SOURCE_DATE_EPOCH=1700000000", "PATH=/", "HOME=" + b.builder.Scratch} {
		if !strings.Contains(env, "\n"+want) {
			t.Errorf("%s is missing in %s", want, env)
		}
	}
	if strings.Contains(env, "hidden") {
		t.Error("the master's environment was passed on")
	}
}

func TestNothingThatAStepStartedOutlivesIt(t *testing.T) {
	b := newBench(t)
	pids := filepath.Join(t.TempDir(), "pids")
	settings := sh("sleep 600 & echo $! >> "+pids, "sh -c 'trap \"\" TERM; sleep 600' & echo $! >> "+pids+"; exit 1")
	started := time.Now()
	if _, err := b.build(t.Context(), tree{}, settings); err == nil {
		t.Fatal("the second step did not fail")
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err != nil {
			t.Fatal(err)
		}
		gone := func() bool { // a zombie that init has not collected yet is gone too
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		}
		for deadline := time.Now().Add(5 * time.Second); !gone(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

func TestACancelledBuildStopsAndSaysWhy(t *testing.T) {
	b := newBench(t)
	why := errors.New("the operator stopped it")
	ctx, cancel := context.WithCancelCause(t.Context())
	app := fleet.Application{Name: "shop", Build: sh("echo started; sleep 600")}
	_, err := b.builder.Build(ctx, app, tree{}, origin(), b.identity, "ann", func(line string) {
		if line == "started" {
			cancel(why)
		}
	})
	if !errors.Is(err, why) {
		t.Error(err)
	}
}

func TestOutputIsLinesWhateverAStepPrints(t *testing.T) {
	b := newBench(t)
	b.mustBuild(tree{}, sh(`printf 'crlf\r\n10%%\r100%%\n\nno end \377'; head -c 10000 /dev/zero | tr '\0' x`))
	if len(b.lines) < 6 || !slices.Equal(b.lines[1:4], []string{"crlf", "100%", ""}) || !strings.HasPrefix(b.lines[4], "no end \uFFFDxxx") {
		t.Errorf("lines %.200q", b.lines)
	}
	for _, line := range b.lines {
		if len(line) > 5000 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestBuildsOfOneApplicationWaitForEachOther(t *testing.T) {
	b := newBench(t)
	app := fleet.Application{Name: "shop", Build: sh("test ! -e busy && touch busy && sleep 0.1 && rm busy")}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := b.builder.Build(t.Context(), app, tree{}, origin(), b.identity, "ann", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAStoreThatFailsFailsTheBuild(t *testing.T) {
	b := newBench(t)
	full := fmt.Errorf("put: %w", syscall.ENOSPC)
	b.builder.Store = refusing{full}
	if rev, err := b.build(t.Context(), tree{"a": "b"}, fleet.Build{}); !errors.Is(err, syscall.ENOSPC) || rev.Digest != "" {
		t.Errorf("%+v, %v", rev, err)
	}
}

type refusing struct{ err error }

func (r refusing) Put(context.Context, fleet.Revision, io.ReaderAt, int64) error { return r.err }

func TestReadOnlyDirectoriesOfAStepAreRemoved(t *testing.T) {
	b := newBench(t)
	b.mustBuild(tree{}, sh("mkdir -p mod/x && touch mod/x/f && chmod -R a-w mod")) // build checks that nothing is left
}

func TestGoBuildWorksAndIsReproducible(t *testing.T) {
	b := newBench(t)
	files := tree{"go.mod": "module example.org/x\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc main() { println(1) }\n"}
	settings := fleet.Build{Steps: []fleet.BuildStep{{Argv: []string{"go", "build", "-o", "x", "."}, Env: map[string]string{"GOFLAGS": "-mod=mod -buildvcs=false"}}}}
	one := b.mustBuild(files, settings)
	two := b.mustBuild(files, settings)
	if one.Digest != two.Digest {
		t.Errorf("digests %s and %s", one.Digest, two.Digest)
	}
}

func TestTheRecipeIsWhatMakesADifference(t *testing.T) {
	base := fleet.Build{Steps: []fleet.BuildStep{{Run: "make"}}, Env: map[string]string{"A": "1", "B": "2"}}
	same := fleet.Build{Steps: []fleet.BuildStep{{Run: "make", Timeout: 5, Argv: []string{}}}, Env: map[string]string{"B": "2", "A": "1"}, Exclude: []string{}}
	recipe := func(b fleet.Build) string { return build.Recipe(fleet.Application{Name: "shop", Build: b}) }
	if recipe(base) != recipe(same) {
		t.Error("a timeout or an empty list makes another recipe")
	}
	if build.Recipe(fleet.Application{Build: base, Source: fleet.SourceSpec{Submodules: true}}) == recipe(base) {
		t.Error("submodules make the same recipe")
	}
	for what, other := range map[string]fleet.Build{
		"step": {Steps: []fleet.BuildStep{{Run: "make all"}}, Env: base.Env}, "env": {Steps: base.Steps},
		"argv":    {Steps: []fleet.BuildStep{{Argv: []string{"make"}}}, Env: base.Env},
		"exclude": {Steps: base.Steps, Env: base.Env, Exclude: []string{"x"}},
	} {
		if recipe(other) == recipe(base) {
			t.Errorf("another %s makes the same recipe", what)
		}
	}
}
