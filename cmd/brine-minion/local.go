package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/internal/service"
	"github.com/brine-deploy/brine/minion/local"
)

func localCommand() *cobra.Command {
	var o local.Options
	var output string
	cmd := &cobra.Command{
		Use:   "local --bundle PATH",
		Short: "Deploy a bundle with an appspec.yml on this host, without a master",
		Long: `local deploys a directory or an archive with an appspec.yml on this host, as CodeDeploy's codedeploy-local does: files,
permissions and hooks. All that can be checked is checked before the first script runs.

Exit codes: 0 deployed, 1 not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "" && output != "text" && output != "json" {
				return fmt.Errorf("unknown output %q: it must be text or json", output)
			}
			o.Umask = umask()
			if output != "json" {
				o.Report = func(line string) { fmt.Fprintln(cmd.OutOrStdout(), line) }
			}
			res := local.Deploy(cmd.Context(), o)
			if output == "json" {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(res); err != nil {
					return fmt.Errorf("write result: %w", err)
				}
			}
			if !res.OK {
				return service.Exit(1)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Bundle, "bundle", "", "directory or archive to deploy")
	flags.StringVar(&o.Type, "type", "", "what the bundle is: "+strings.Join(local.Types(), ", ")+" (default by its name)")
	flags.StringVar(&o.Application, "application", "", "name of the application")
	flags.StringVar(&o.Group, "group", "", "deployment group; groups know nothing of each other (default "+local.DefaultGroup+")")
	flags.StringVar(&o.GroupName, "group-name", "", "name of the deployment group for the scripts (default the group)")
	flags.StringSliceVar(&o.Events, "events", nil, "lifecycle events to run, in this order (default all)")
	flags.StringVar(&o.Exists, "file-exists-behavior", "", "DISALLOW, OVERWRITE or RETAIN files in the way (default DISALLOW)")
	flags.StringVar(&o.Appspec, "appspec-filename", "", "path of the appspec in the bundle (default appspec.yml)")
	flags.StringVar(&o.StateDir, "state-dir", local.DefaultStateDir, "where deployments are kept")
	flags.StringVar(&output, "output", "", "text or json")
	return cmd
}

// umask returns the process's own.
func umask() fs.FileMode {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return fs.FileMode(mask)
}
