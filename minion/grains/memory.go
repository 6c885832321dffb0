package grains

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/shirou/gopsutil/v4/mem"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeMemory finds mem_total and swap_total, in MiB.
func probeMemory(ctx context.Context, _ fs.FS) (fleet.Grains, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read memory size: %w", err)
	}
	return fleet.Grains{"mem_total": int(m.Total >> 20), "swap_total": int(m.SwapTotal >> 20)}, nil
}
