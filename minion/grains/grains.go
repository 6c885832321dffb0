// Package grains collects the facts that a minion reports of its host, under Salt's names and with Salt's values.
package grains

import (
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// slowest bounds a probe that waits for others.
const slowest = time.Second

// probe finds some of the grains. What it returns beside an error is kept.
type probe struct {
	name string
	run  func(ctx context.Context, root fs.FS) (fleet.Grains, error)
}

// probes lists all of them, in the order in which they run.
func probes() []probe {
	return []probe{
		{"cpu", probeCPU},
		{"host", probeHost},
		{"ip", probeIP},
		{"kernel", probeKernel},
		{"machine_id", probeMachineID},
		{"memory", probeMemory},
		{"os", probeOS},
		{"virtual", probeVirtual},
	}
}

// Collect returns what the probes find and what is configured; a configured grain wins over a found one, but id is always
// the given one. It takes a second at most. A probe that fails is logged and its grains are left out.
func Collect(ctx context.Context, configured fleet.Grains, id fleet.MinionID, log *slog.Logger) fleet.Grains {
	all, root := fleet.Grains{}, os.DirFS("/")
	for _, p := range probes() {
		found, err := p.run(ctx, root)
		if err != nil {
			log.WarnContext(ctx, "grains not found", "probe", p.name, "error", err)
		}
		maps.Copy(all, found)
	}
	maps.Copy(all, configured)
	all["id"] = string(id)
	return all
}
