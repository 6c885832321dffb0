// Package grains collects the facts that a minion reports of its host, under Salt's names and with Salt's values.
package grains

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"log/slog"
	"maps"
	"math/big"
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
		{"hardware", probeHardware},
		{"host", probeHost},
		{"init", probeInit},
		{"ip", probeIP},
		{"kernel", probeKernel},
		{"machine_id", probeMachineID},
		{"memory", probeMemory},
		{"os", probeOS},
		{"process", probeProcess},
		{"virtual", probeVirtual},
	}
}

// Options say where grains come from besides the probes. Later fields win over earlier ones.
type Options struct {
	Cloud      string       // CloudEC2, CloudAuto or CloudNone; empty is none
	Dir        string       // executables that print grains; need not exist
	Configured fleet.Grains // of the minion's configuration
	Set        string       // file of grains that were set by name, see Set; need not exist
}

// Collect returns what the probes find and what is configured; a configured grain wins over a found one, but id is always
// the given one. It takes a second at most. A probe that fails is logged and its grains are left out.
func Collect(ctx context.Context, configured fleet.Grains, id fleet.MinionID, log *slog.Logger) fleet.Grains {
	return Find(ctx, Options{Configured: configured}, id, log)
}

// Find is Collect with all that Options name. What does not answer in time, or fails, is logged and left out.
func Find(ctx context.Context, o Options, id fleet.MinionID, log *slog.Logger) fleet.Grains {
	all, root := fleet.Grains{}, os.DirFS("/")
	add := func(name string, found fleet.Grains, err error) {
		if err != nil {
			log.WarnContext(ctx, "grains not found", "probe", name, "error", err)
		}
		maps.Copy(all, found)
	}
	for _, p := range probes() {
		found, err := p.run(ctx, root)
		add(p.name, found, err)
	}
	maps.Copy(all, compatible(id))
	if wanted(o.Cloud, root) {
		found, err := (&EC2{Endpoint: os.Getenv(endpointVariable), Client: metadataClient()}).Find(ctx)
		add("ec2", found, err)
	}
	for _, script := range scripts(o.Dir) {
		found, err := runScript(ctx, script)
		add(script, found, err)
	}
	maps.Copy(all, o.Configured)
	set, err := ReadSet(o.Set)
	add("set", set, err)
	all["id"] = string(id)
	return all
}

// compatible are the grains by which formulas ask which Salt this is: what is written for that one works here.
func compatible(id fleet.MinionID) fleet.Grains {
	sum := sha256.Sum256([]byte(id))
	server := new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), big.NewInt(1<<31))
	return fleet.Grains{"saltversion": "3006.16", "saltversioninfo": []any{3006, 16}, "server_id": int(server.Int64())}
}
