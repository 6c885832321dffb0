// Package service is what both daemons' mains share: flags, signals, the log, and systemd's notifications.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Daemon is one of the two.
type Daemon struct {
	Use, Short, Long string
	Version          string
	Config           string // default path of its configuration file
	Flags            func(*pflag.FlagSet)
	// Commands are what the binary does besides serving. A command that returns an Exit ends with that code; its
	// message has been printed already. Their context ends with SIGINT and SIGTERM.
	Commands []*cobra.Command
	// Start loads the configuration and opens what the daemon needs. The returned run serves until ctx is done, and
	// calls ready once it does.
	Start func(ctx context.Context, path string, flags *pflag.FlagSet, log func(config.Log) *slog.Logger) (run func(ctx context.Context, ready func()) error, err error)
}

// Exit is the error of a command that has said what went wrong and only wants an exit code.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Main runs the daemon, or one of its commands, with a process's arguments and returns its exit code.
func Main(d Daemon, args []string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	exit := fleet.ExitUsage // what goes wrong before the daemon serves is usage or configuration
	var path string
	cmd := &cobra.Command{
		Use: d.Use, Short: d.Short, Long: d.Long, Version: d.Version, Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			run, err := d.Start(ctx, path, cmd.Flags(), func(l config.Log) *slog.Logger { return logger(l, stderr) })
			if err != nil {
				return err
			}
			exit = fleet.ExitFailed
			return run(ctx, func() { ready(ctx) })
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration file (default "+d.Config+", if it is there)")
	d.Flags(cmd.Flags())
	cmd.AddCommand(d.Commands...)
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetArgs(args)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if code, ok := errors.AsType[Exit](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", d.Use, err)
		return exit
	}
	return fleet.ExitDone
}

// logger writes structured lines to stderr, where systemd's journal takes them.
func logger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by pkg/config
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// ready tells systemd, if it started us, that we serve, and from then on that we live.
func ready(ctx context.Context) {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) })
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	go func() {
		tick := time.NewTicker(interval / 2)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// Umask keeps what a daemon creates from others, whatever it was started with.
func Umask() { syscall.Umask(0o077) }
