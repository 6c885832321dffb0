package grains

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeInit finds init, what the first process is, and systemd with its version.
func probeInit(_ context.Context, root fs.FS) (fleet.Grains, error) {
	found := fleet.Grains{"init": initOf(root)}
	if version := systemdVersion(root); version != "" {
		found["systemd"] = map[string]any{"version": version, "features": ""}
	}
	return found, nil
}

func initOf(root fs.FS) string {
	if info, err := fs.Stat(root, "run/systemd/system"); err == nil && info.IsDir() {
		return "systemd"
	}
	command, _, _ := strings.Cut(read(root, "proc/1/cmdline"), "\x00")
	name := path.Base(strings.Fields(command + " ?")[0])
	switch {
	case name == "init" && read(root, "etc/inittab") == "" && exists(root, "sbin/initctl"):
		return "upstart"
	case name == "init":
		return "sysvinit"
	case slices.Contains([]string{"systemd", "upstart", "sysvinit", "supervisord", "tini", "dumb-init", "runit", "openrc-init"}, name):
		return name
	case name == "runit-init" || name == "runsvdir":
		return "runit"
	}
	return "unknown"
}

func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}

// systemdVersion is the newest version of systemd that is installed, by the name of its library: asking systemctl would
// take longer than all other grains together.
func systemdVersion(root fs.FS) string {
	version := ""
	for _, dir := range []string{"usr/lib/systemd", "lib/systemd", "usr/lib64/systemd", "usr/lib/*-linux-gnu*/systemd"} {
		names, err := fs.Glob(root, dir+"/libsystemd-shared-*.so")
		if err != nil {
			continue
		}
		for _, name := range names {
			text := strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "libsystemd-shared-"), ".so")
			text, _, _ = strings.Cut(text, "-")
			if text, _, _ = strings.Cut(text, "."); text > version {
				version = text
			}
		}
	}
	return version
}
