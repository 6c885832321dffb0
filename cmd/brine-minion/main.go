// Command brine-minion is the agent on every host: it runs the jobs that its master publishes.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/cmd/internal/service"
	"github.com/brine-deploy/brine/minion"
	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/config"
)

var version = "devel" // set by the linker

func main() {
	if len(os.Args) == 3 && os.Args[1] == process.SuperviseCommand {
		os.Exit(process.Supervise(os.Args[2]))
	}
	os.Exit(service.Main(service.Daemon{
		Use:   "brine-minion",
		Short: "The agent on every host",
		Long: `brine-minion connects to its master over the encrypted bus, installs the revisions that it is sent, and returns what
came of it. Its key is its identity and is made at the first start; the master accepts it by fingerprint or by token.

Settings: flag, then environment (BRINE_...), then file, then default.`,
		Version: version, Config: config.MinionFile, Flags: config.MinionFlags, Start: start,
		Commands: commands(),
	}, os.Args[1:], os.Stderr))
}

// commands are what it does without a master, a file each.
func commands() []*cobra.Command {
	return []*cobra.Command{
		callCommand(),
		localCommand(),
		renderCommand(),
	}
}

func start(_ context.Context, path string, flags *pflag.FlagSet, log func(config.Log) *slog.Logger) (func(context.Context, func()) error, error) {
	cfg, err := config.LoadMinion(path, flags)
	if err != nil {
		return nil, err
	}
	m, err := minion.New(cfg, version, log(cfg.Log), process.Supervisor{Program: "/proc/self/exe"})
	if err != nil {
		return nil, err
	}
	return m.Run, nil
}
