package runner

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// everything lists what is at dir with what would show a change.
func everything(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		must(t, err)
		info, err := e.Info()
		must(t, err)
		out = append(out, fmt.Sprint(name, info.Mode(), info.Size(), info.ModTime()))
		return nil
	})
	must(t, err)
	return out
}

func TestATestSaysWhatItWouldDoAndTouchesNothing(t *testing.T) {
	for layout, c := range map[string]struct{ first, second []string }{
		"releases": {
			[]string{"link log to shared/log, which is made"},
			[]string{"link log to shared/log"},
		},
		"copy": {
			[]string{"and copy all of the archive into it"},
			[]string{"Install: replace version", "Install: add new/file", "Install: make directory new", "Install: remove only1"},
		},
	} {
		t.Run(layout, func(t *testing.T) {
			h := newHost(t)
			h.layout = layout
			test := func(order fleet.ReleaseOrder, want ...string) {
				t.Helper()
				order.Test = true
				before := everything(t, h.root)
				res, err := h.release(order)
				must(t, err)
				if after := everything(t, h.root); !slices.Equal(before, after) || len(h.traces()) > 1 {
					t.Errorf("something was touched: %q, then %q", before, after)
				}
				for _, w := range want {
					if !slices.ContainsFunc(res.Changes, func(line string) bool { return strings.Contains(line, w) }) {
						t.Errorf("not told: %s\n%s", w, strings.Join(res.Changes, "\n"))
					}
				}
			}
			v1 := h.order(app("v1", tree{"only1": "1"}))
			if layout == "releases" {
				v1.Shared = []string{"log/"}
			}
			short := v1.Revision.Digest.Short()
			test(v1, append(c.first, "fetch revision "+short, "AfterInstall: run "+hook(fleet.AfterInstall), "make revision "+short+" live")...)
			h.mustRelease(v1)
			h.traces()
			v2 := h.order(app("v2", tree{"new/file": "2"}))
			v2.Shared, v2.Keep = v1.Shared, 1
			test(v2, append(c.second, "ApplicationStop: run "+hook(fleet.ApplicationStop)+" of the live release", "live in place of "+short, "remove release "+strings.TrimSuffix(h.names(".brine/releases")[0], ".json"))...)
			v1.Test = true
			if res, err := h.release(v1); err != nil || res.Skipped == "" || !res.Serving {
				t.Errorf("%+v, %v", res, err)
			}
			if left := everything(t, filepath.Join(h.state, "tests")); len(left) > 1 {
				t.Errorf("left: %q", left)
			}
		})
	}
}
