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

// probeKernel finds kernel, kernelrelease and cpuarch: what uname -srm prints.
func probeKernel(ctx context.Context, _ fs.FS) (fleet.Grains, error) {
	found := fleet.Grains{"kernel": strings.ToUpper(runtime.GOOS[:1]) + runtime.GOOS[1:]}
	release, releaseErr := host.KernelVersionWithContext(ctx)
	if releaseErr == nil {
		found["kernelrelease"] = release
	}
	arch, archErr := host.KernelArch()
	if archErr == nil {
		found["cpuarch"] = arch
	}
	return found, errors.Join(releaseErr, archErr)
}
