package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func newCopyHost(t *testing.T) *host {
	h := newHost(t)
	h.layout = "copy"
	return h
}

func (h *host) write(name, content string) {
	h.t.Helper()
	file := filepath.Join(h.root, name)
	must(h.t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(h.t, os.WriteFile(file, []byte(content), 0o600))
}

func (h *host) inode(name string) (uint64, syscall.Timespec) {
	h.t.Helper()
	info, err := os.Lstat(filepath.Join(h.root, name))
	must(h.t, err)
	st := info.Sys().(*syscall.Stat_t)
	return st.Ino, st.Mtim
}

func TestCopyTouchesOnlyWhatDiffers(t *testing.T) {
	h := newCopyHost(t)
	h.write("index.php", "before brine")
	h.write("uploads/mine", "of a user")
	v1 := app("v1", tree{"same": "same", "sub/same": "same", "gone": "1", "sub/gone": "1", "all/gone/too": "1", "tool": "echo"})
	h.mustRelease(h.order(v1))
	for name, content := range v1 {
		if h.read(name) != content {
			t.Errorf("%s is %q", name, h.read(name))
		}
	}
	must(t, os.Chmod(filepath.Join(h.root, "same"), 0o640)) // as a hook does
	ino, mtime := h.inode("same")
	ino2, _ := h.inode("sub/same")
	ino3, _ := h.inode("tool")
	v2 := app("v2", tree{"same": "same", "sub/same": "same", "tool": "#!/bin/sh\n"})
	h.mustRelease(h.order(v2))
	h.wantOnly(v2, "index.php", "uploads/mine")
	if now, when := h.inode("same"); now != ino || when != mtime {
		t.Error("an unchanged file was touched")
	}
	if now, _ := h.inode("sub/same"); now != ino2 {
		t.Error("an unchanged file was touched")
	}
	if now, _ := h.inode("tool"); now == ino3 {
		t.Error("a changed file was written in place")
	}
	for _, dir := range []string{"all", "sub/gone"} {
		if _, err := os.Lstat(filepath.Join(h.root, dir)); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
	if h.read("index.php") != "before brine" || h.read("uploads/mine") != "of a user" {
		t.Error("a foreign file is gone")
	}
}

func TestCopyDeletesWhatIsNotExcluded(t *testing.T) {
	h := newCopyHost(t)
	for _, name := range []string{"old.php", "var/cache/x", "var/keep.log", "uploads/a", "deep/uploads/b", "empty/only.txt"} {
		h.write(name, "foreign")
	}
	v1 := app("v1", tree{"uploads/readme": "of the archive", "debug.log": "of the archive"})
	order := h.order(v1)
	order.Copy = &fleet.CopyOptions{Exclude: []string{"/uploads", "*.log"}, Delete: true}
	h.mustRelease(order)
	delete(v1, "uploads/readme")
	delete(v1, "debug.log")
	h.wantOnly(v1, "var/keep.log", "uploads/a")
	for _, name := range []string{"var/keep.log", "uploads/a"} {
		if h.read(name) != "foreign" {
			t.Errorf("%s is gone", name)
		}
	}
	if h.read("uploads/readme") != "" || h.read("debug.log") != "" {
		t.Error("something excluded was copied")
	}
	if _, err := os.Lstat(filepath.Join(h.root, "empty")); err == nil {
		t.Error("a directory with nothing to keep stays")
	}
}

func TestCopyThatFailsPutsBackExactlyWhatWasThere(t *testing.T) {
	h := newCopyHost(t)
	h.write("index.php", "before brine")
	must(t, os.Symlink("index.php", filepath.Join(h.root, "start")))
	ino, _ := h.inode("index.php")
	bad := app("v1", tree{"index.php": "new", "start/x": "a directory", hook(fleet.ValidateService): "#!/bin/sh\ntouch made/by-hook; exit 1\n", "made/x": "new"})
	order := h.order(bad)
	order.Copy = &fleet.CopyOptions{Delete: true}
	_, err := h.release(order)
	wantError(t, err, "ValidateService", "the failed one is kept for inspection in "+filepath.Join(h.root, ".brine/trees")+"/")
	h.wantOnly(nil, "index.php", "start")
	if now, _ := h.inode("index.php"); now != ino || h.read("index.php") != "before brine" {
		t.Error("the old file is not back")
	}
	if target, _ := os.Readlink(filepath.Join(h.root, "start")); target != "index.php" {
		t.Error("the old link is not back")
	}
	if left, _ := filepath.Glob(filepath.Join(h.root, ".brine/failed/*/made/by-hook")); len(left) != 1 {
		t.Error("what a hook made is not kept apart")
	}
	h.wantTidy()
}

func TestCopyRollsBackWithoutADownloadAndForcesAgain(t *testing.T) {
	h := newCopyHost(t)
	v1 := h.order(app("v1", nil))
	h.mustRelease(v1)
	h.mustRelease(h.order(app("v2", nil)))
	before := h.fetched.Load()
	h.mustRelease(v1)
	h.wantLive(app("v1", nil))
	if h.fetched.Load() != before {
		t.Error("the rollback downloaded")
	}
	h.write("version", "edited by hand")
	if res := h.mustRelease(v1); res.Skipped == "" {
		t.Error("not skipped")
	}
	v1.Force = true
	h.mustRelease(v1)
	h.wantLive(app("v1", nil))
}

func TestCopyRefusesWhatItCannotDoBeforeAnythingStops(t *testing.T) {
	for name, c := range map[string]struct {
		files   tree
		exclude string
		want    string
	}{
		"a protected directory in the way": {tree{"data": "a file"}, "*.db", "data is a directory and no directory in the archive, and it holds what is excluded"},
		"brine's own":                      {tree{".brine/x": "1"}, "x", "the archive has .brine"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newCopyHost(t)
			h.mustRelease(h.order(app("v1", nil)))
			h.write("data/a.db", "mine")
			h.traces()
			order := h.order(app("v2", c.files))
			order.Copy = &fleet.CopyOptions{Exclude: []string{c.exclude}}
			_, err := h.release(order)
			wantError(t, err, c.want)
			h.wantOnly(app("v1", nil), "data/a.db")
			if got := h.traces(); got[0] != "" {
				t.Errorf("scripts ran: %v", got)
			}
		})
	}
}

func TestALayoutIsNotChangedUnderAnApplication(t *testing.T) {
	for _, layout := range []string{"releases", "copy"} {
		h := newHost(t)
		h.layout = layout
		v1 := app("v1", nil)
		h.mustRelease(h.order(v1))
		h.traces()
		for _, other := range []string{"releases", "copy"} {
			order := h.order(app("v2", nil))
			if order.Layout = other; other == layout {
				continue
			}
			res, err := h.release(order)
			wantError(t, err, "has layout "+layout+", and "+other+" is ordered: give the group another root")
			if res.Live == "" || !res.Serving || len(h.traces()) > 1 {
				t.Errorf("result %+v", res)
			}
			h.wantLive(v1)
		}
	}
}

func TestScriptsOfLayoutCopyRunInTheRoot(t *testing.T) {
	h := newCopyHost(t)
	where := "#!/bin/sh\n" + `echo "$BRINE_EVENT $(pwd) $BRINE_RELEASE" >>"$TRACE"` + "\n"
	h.mustRelease(h.order(app("v1", tree{hook(fleet.BeforeInstall): where, hook(fleet.AfterInstall): where})))
	got := slices.DeleteFunc(h.traces(), func(s string) bool { return strings.Count(s, " ") != 2 })
	trees := filepath.Join(h.root, ".brine/trees") + "/"
	if len(got) != 2 || !strings.HasPrefix(got[0], "BeforeInstall "+trees) || got[1] != "AfterInstall "+h.root+" "+h.root {
		t.Errorf("%q", got)
	}
}
