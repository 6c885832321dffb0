// Command brine-master is the daemon that holds the fleet: it publishes deploy jobs to minions, collects their returns
// and moves minions in and out of load balancers.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/cmd/internal/service"
	"github.com/brine-deploy/brine/master"
	"github.com/brine-deploy/brine/pkg/config"
)

var version = "devel" // set by the linker

func main() {
	service.Umask()
	os.Exit(service.Main(service.Daemon{
		Use:   "brine-master",
		Short: "The daemon that holds the fleet",
		Long: `brine-master holds the fleet: it publishes deploy jobs to minions over the encrypted bus, collects their returns,
and moves minions in and out of load balancers. People and CI talk to it with brine, on its Unix socket.

Settings: flag, then environment (BRINE_...), then file, then default.`,
		Version: version, Config: config.MasterFile, Flags: config.MasterFlags, Start: start,
	}, os.Args[1:], os.Stderr))
}

func start(ctx context.Context, path string, flags *pflag.FlagSet, log func(config.Log) *slog.Logger) (func(context.Context, func()) error, error) {
	cfg, err := config.LoadMaster(path, flags)
	if err != nil {
		return nil, err
	}
	m, err := master.New(ctx, cfg, version, log(cfg.Log))
	if err != nil {
		return nil, err
	}
	return m.Run, nil
}
