package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func newPlacingHost(t *testing.T) *host {
	h := newHost(t)
	h.layout = "appspec"
	return h
}

func TestAppspecReplacesOnlyItsOwnFilesAndPutsThemBack(t *testing.T) {
	h := newPlacingHost(t)
	v1 := app("v1", tree{"same": "1", "gone": "1", "config": "default"})
	h.mustRelease(h.order(v1))
	h.write("app/mine", "of a user")
	h.write("app/config", "edited by a hook")
	ino, mtime := h.inode("app/config")
	bad := app("v2", tree{"same": "2", "config": "new", hook(fleet.ValidateService): fails})
	res, err := h.release(h.order(bad))
	wantError(t, err, "failed with exit code 3", "is live again")
	if now, when := h.inode("app/config"); now != ino || when != mtime || !res.Reverted {
		t.Errorf("the edited file was not put back: %q, %+v", h.read("app/config"), res)
	}
	if h.read("app/same") != "1" || h.read("app/gone") != "1" || h.read("app/mine") != "of a user" || h.read("running") != "v1" {
		t.Error("not all of v1 is back")
	}
	v3 := app("v3", nil)
	h.mustRelease(h.order(v3))
	h.wantOnly(v3, "mine")
}

func TestAppspecAsksTheGroupWhatBecomesOfFilesInTheWay(t *testing.T) {
	h := newPlacingHost(t)
	h.write("app/version", "foreign")
	v1 := app("v1", tree{hook(fleet.BeforeInstall): ""})
	order := h.order(v1)
	_, err := h.release(order)
	wantError(t, err, "a specified file already exists at this location: "+h.root+"/app/version")
	for _, step := range h.traces() {
		if step != "" {
			t.Errorf("a script ran: %s", step)
		}
	}
	order.Exists = "OVERWRITE"
	h.mustRelease(order)
	h.wantLive(v1)
	order.Exists = "no"
	order.Force = true
	_, err = h.release(order)
	wantError(t, err, `invalid file_exists_behavior "no"`)
}

func TestAppspecInTestModeSaysWhatWouldChange(t *testing.T) {
	h := newPlacingHost(t)
	h.mustRelease(h.order(app("v1", tree{"gone": "1"})))
	order := h.order(app("v2", tree{"new": "2"}))
	order.Test = true
	res, err := h.release(order)
	must(t, err)
	changes := strings.Join(res.Changes, "\n")
	for _, want := range []string{"remove " + h.root + "/app/gone", "copy " + h.root + "/app/new"} {
		if !strings.Contains(changes, want) {
			t.Errorf("changes have no %q:\n%s", want, changes)
		}
	}
	if strings.Contains(changes, "mkdir") {
		t.Errorf("directories are made that are there:\n%s", changes)
	}
	if _, err := os.Lstat(filepath.Join(h.root, "app/new")); err == nil || h.read("app/gone") != "1" {
		t.Error("something was changed")
	}
}
