package timezone

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	etc, zones := t.TempDir(), filepath.Join(t.TempDir(), "zoneinfo")
	if err := os.MkdirAll(filepath.Join(zones, "Europe"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(zones, "Europe/Berlin"), filepath.Join(etc, "timezone")} {
		if err := os.WriteFile(name, []byte("Etc/UTC\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := family{etc, zones}.states()
	statetest.Run(t, f, statetest.Example{Function: "system", Name: "Europe/Berlin", Args: data.NewMap("utc", true), Touches: []string{etc}, Silent: true})
	if got, err := os.ReadFile(filepath.Join(etc, "timezone")); err != nil || string(got) != "Europe/Berlin\n" {
		t.Errorf("timezone holds %q, %v", got, err)
	}
	for name, reason := range map[string]string{"No/Where": "", "../../etc/passwd": "bad arguments"} {
		res := f["system"].Run(t.Context(), &state.Call{Name: name, Host: statetest.Host(t, "")})
		if res.Verdict != state.False || res.Reason != reason {
			t.Errorf("%s: %+v", name, res)
		}
	}
}
