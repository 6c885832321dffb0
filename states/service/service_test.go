package service_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/service"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

// systemctl keeps units as files: NAME.active, NAME.enabled, NAME.masked beside it.
const systemctl = `cd $STAND_INS
for unit; do :; done
case "$1" in
show) case "$2" in *LoadState) [ -e $unit ] && echo loaded || echo not-found;; *) echo no;; esac;;
is-active) [ -e $unit.active ];;
is-enabled) [ -e $unit.masked ] && { echo masked; exit 1; }; [ -e $unit.enabled ] && echo enabled || { echo disabled; exit 1; };;
start) touch $unit.active;;
stop) rm -f $unit.active;;
enable) touch $unit.enabled;;
disable) rm -f $unit.enabled;;
mask) touch $unit.masked;;
unmask) rm -f $unit.masked;;
esac`

func systemd(t *testing.T, units ...string) (*state.Host, func() []string) {
	t.Helper()
	calls := statetest.Programs(t, map[string]string{"systemctl": systemctl})
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		if err := os.WriteFile(filepath.Join(os.Getenv("STAND_INS"), unit), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := statetest.Host(t, "")
	host.Opts.Set("service_root", root)
	return host, calls
}

func TestFunctionsKeepToTheSuite(t *testing.T) {
	host, _ := systemd(t, "web.service", "db.service", "db.service.active", "db.service.enabled", "old.service", "m.service.masked", "m.service")
	examples := []statetest.Example{
		{Function: "running", Name: "web", Args: data.NewMap("enable", true)},
		{Function: "running", Name: "m.service", Args: data.NewMap("unmask", true)},
		{Function: "dead", Name: "db", Args: data.NewMap("enable", false)},
		{Function: "enabled", Name: "db"},
		{Function: "disabled", Name: "web"},
		{Function: "masked", Name: "old"},
		{Function: "unmasked", Name: "old"},
	}
	for i := range examples {
		examples[i].Host, examples[i].Silent = host, true
	}
	statetest.Run(t, service.States(), examples...)
}

func TestAWatchedChangeRestartsOrReloads(t *testing.T) {
	host, calls := systemd(t, "web.service", "web.service.active", "off.service")
	for name, test := range map[string]struct {
		args    *data.Map
		comment string
		call    string
	}{
		"web": {nil, "Service restarted", "systemctl [restart] [--] [web.service]"},
		"off": {nil, "Service started", "systemctl [start] [--] [off.service]"},
	} {
		res := service.States()["running"].Watch(t.Context(), &state.Call{Name: name, Args: test.args, Host: host})
		if got := calls(); res.Comment != test.comment || !slices.Contains(got, test.call) {
			t.Errorf("%s: %+v by %q", name, res, got)
		}
	}
	res := service.States()["running"].Watch(t.Context(), &state.Call{Name: "web", Args: data.NewMap("reload", true), Host: host, Test: true})
	if res.Verdict != state.Pending || res.Comment != "Service is set to be reloaded" {
		t.Errorf("got %+v", res)
	}
}

func TestAServiceThatIsNotThereFailsAndAHostWithoutServicesIsOffline(t *testing.T) {
	host, _ := systemd(t)
	res := service.States()["running"].Run(t.Context(), &state.Call{Name: "never", Host: host})
	if res.Verdict != state.False || res.Comment != "The named service never is not available" {
		t.Errorf("got %+v", res)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/bin/systemctl"), 0o755); err != nil { // systemd is here, but does not run
		t.Fatal(err)
	}
	host.Opts.Set("service_root", root)
	res = service.States()["running"].Run(t.Context(), &state.Call{Name: "never", Host: host})
	if res.Verdict != state.True || !strings.Contains(res.Comment, "OFFLINE") {
		t.Errorf("got %+v", res)
	}
}

func TestInitScriptsServe(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/init.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ncase $1 in status) [ -e " + root + "/up ];; start) touch " + root + "/up;; stop) rm " + root + "/up;; esac\n"
	if err := os.WriteFile(filepath.Join(root, "etc/init.d/web"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	statetest.Programs(t, map[string]string{"service": `exec ` + root + `/etc/init.d/$1 $2`})
	host := statetest.Host(t, "")
	host.Opts.Set("service_root", root)
	res := service.States()["running"].Run(t.Context(), &state.Call{Name: "web", Host: host})
	if res.Verdict != state.True || res.Comment != "Started service web" {
		t.Errorf("got %+v", res)
	}
}
