package grains

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeCPU finds num_cpus: all of the host, not those that this process may use; cpu_model and cpu_flags.
func probeCPU(ctx context.Context, root fs.FS) (fleet.Grains, error) {
	n, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("count processors: %w", err)
	}
	found := fleet.Grains{"num_cpus": n, "cpu_model": "Unknown", "cpu_flags": []any{}}
	for line := range strings.Lines(read(root, "proc/cpuinfo")) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name", "Processor":
			found["cpu_model"] = strings.TrimSpace(value)
		case "flags", "Features":
			flags := []any{}
			for flag := range strings.FieldsSeq(value) {
				flags = append(flags, flag)
			}
			found["cpu_flags"] = flags
		case "": // the first processor ends: the others are the same
			return found, nil
		}
	}
	return found, nil
}
