package house_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// settings reads the [Service] section of a unit. A key that is there several times keeps all its values.
func settings(t *testing.T, unit string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	section := ""
	for line := range strings.Lines(read(t, filepath.Join("etc/systemd", unit))) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "[Service]" && !strings.HasPrefix(line, "#") {
			found[key] = append(found[key], value)
		}
	}
	return found
}

func TestTheUnitsAreHardened(t *testing.T) {
	want := map[string]map[string]string{
		"brine-master.service": {
			"Type": "notify", "WatchdogSec": "30", "Restart": "always", "User": "brine", "UMask": "0077",
			"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
			"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
			"ProtectKernelTunables": "yes", "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes",
			"ProtectControlGroups": "yes", "ProtectClock": "yes", "ProtectHostname": "yes", "ProtectProc": "invisible",
			"RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
			"RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
			"SystemCallFilter":        "@system-service", "SystemCallArchitectures": "native",
			"StateDirectory": "brine-master", "StateDirectoryMode": "0700", "RuntimeDirectory": "brine",
		},
		"brine-minion.service": {
			"Type": "notify", "WatchdogSec": "30", "Restart": "always", "KillMode": "process", "OOMPolicy": "continue",
			"StateDirectory": "brine-minion", "StateDirectoryMode": "0700", "LockPersonality": "yes",
			"SystemCallFilter": "~@module @raw-io @swap @reboot @clock @cpu-emulation @obsolete",
		},
	}
	for unit, keys := range want {
		got := settings(t, unit)
		for key, value := range keys {
			if len(got[key]) != 1 || got[key][0] != value {
				t.Errorf("%s: %s is %q, want %q", unit, key, got[key], value)
			}
		}
	}
}

func TestTheMinionKeepsTheCapabilitiesThatHooksNeed(t *testing.T) {
	dropped := strings.Join(settings(t, "brine-minion.service")["CapabilityBoundingSet"], " ")
	for _, needed := range []string{"CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SYS_ADMIN"} {
		if strings.Contains(dropped, needed) {
			t.Errorf("%s is dropped", needed)
		}
	}
}

func TestSystemdTakesTheUnits(t *testing.T) {
	analyze := program(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, unit := range []string{"brine-master.service", "brine-minion.service"} {
		text := read(t, filepath.Join("etc/systemd", unit))
		text = strings.ReplaceAll(text, "ExecStart=/usr/bin/brine-m", "ExecStart=/bin/true brine-m") // not installed here
		if err := os.WriteFile(filepath.Join(dir, unit), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, filepath.Join(dir, unit))
	}
	out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
