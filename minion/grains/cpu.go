package grains

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/shirou/gopsutil/v4/cpu"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeCPU finds num_cpus: all of the host, not those that this process may use.
func probeCPU(ctx context.Context, _ fs.FS) (fleet.Grains, error) {
	n, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("count processors: %w", err)
	}
	return fleet.Grains{"num_cpus": n}, nil
}
