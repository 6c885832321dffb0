package grains

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/host"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeKernel finds kernel, kernelrelease and cpuarch: what uname -srm prints; kernelversion (-v), kernelparams, and osarch:
// how packages call the processor.
func probeKernel(ctx context.Context, root fs.FS) (fleet.Grains, error) {
	found := fleet.Grains{"kernel": strings.ToUpper(runtime.GOOS[:1]) + runtime.GOOS[1:]}
	release, releaseErr := host.KernelVersionWithContext(ctx)
	if releaseErr == nil {
		found["kernelrelease"] = release
	}
	arch, archErr := host.KernelArch()
	if archErr == nil {
		found["cpuarch"], found["osarch"] = arch, arch
		if exists(root, "etc/debian_version") || exists(root, "var/lib/dpkg/status") {
			found["osarch"] = debianArch(arch)
		}
	}
	if version := strings.TrimSpace(read(root, "proc/sys/kernel/version")); version != "" {
		found["kernelversion"] = version
	}
	if line := strings.TrimSpace(read(root, "proc/cmdline")); line != "" {
		params := []any{}
		for one := range strings.FieldsSeq(line) {
			name, value, has := strings.Cut(one, "=")
			if has {
				params = append(params, []any{name, value})
			} else {
				params = append(params, []any{name, nil})
			}
		}
		found["kernelparams"] = params
	}
	return found, errors.Join(releaseErr, archErr)
}

// debianArch is what dpkg --print-architecture says.
func debianArch(arch string) string {
	switch arch {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv6l":
		return "armhf"
	case "i386", "i486", "i586", "i686":
		return "i386"
	case "ppc64le":
		return "ppc64el"
	}
	return arch
}
