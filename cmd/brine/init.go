package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

//go:embed sample/shop.yml
var sampleApp []byte

func (c *cli) initCommand() *cobra.Command {
	dir, hooks := ".", ""
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a sample application file, or templates of hook scripts",
		Long: `Write shop.yml, a sample application file with comments. Change it, then put it into apps.d/ of the master's
configuration. With --hooks write templates of a group's hook scripts, hooks/GROUP/EVENT.sh, for the application's
repository. A file that is there already is left alone.`,
		Example: `  brine init --dir /etc/brine/apps.d
  brine init --hooks production`,
		Args: positional,
		RunE: func(*cobra.Command, []string) error {
			if hooks != "" {
				return c.writeHooks(dir, hooks)
			}
			file := filepath.Join(dir, "shop.yml")
			if err := writeNew(file, sampleApp); err != nil {
				return err
			}
			c.sayf("change it to your needs, put it into apps.d/ of the master, then: brine plan shop production\n")
			return c.print(file)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", dir, "where to write it")
	cmd.Flags().StringVar(&hooks, "hooks", "", "write templates of hook scripts for this group instead")
	return cmd
}

// hookTemplate is a script that does nothing yet; it needs the event, what it is for, and an example.
const hookTemplate = `#!/bin/sh
# %[1]s: %[2]s
#
# Exit code 0 goes on; any other fails the release, and the one before comes back. The limit is one hour.
# What it says is logged with the time of each line; brine deploy --log shows it live. It sees of the environment:
#   BRINE_APP BRINE_GROUP BRINE_EVENT BRINE_DEPLOYMENT BRINE_MINION   what is going on, and where
#   BRINE_REVISION BRINE_COMMIT BRINE_REF                             what is deployed
#   BRINE_RELEASE BRINE_ROOT                                          its directory, where this runs; the group's root
# and what the group's env sets.
set -eu

# %[3]s
`

// hookTemplates are in the order in which a deployment runs them.
func hookTemplates() [][3]string {
	return [][3]string{
		{string(fleet.ApplicationStop), "stop the release that is live; its own script is run, not the new one's.", "systemctl stop shop"},
		{string(fleet.BeforeInstall), "prepare the host; the new release is there, and not live.", "install -d -o shop /var/lib/shop"},
		{string(fleet.AfterInstall), "finish the new release: configuration, permissions, migrations.", "./bin/migrate"},
		{string(fleet.ApplicationStart), "start the new release, which is live now.", "systemctl start shop"},
		{string(fleet.ValidateService), "make sure that it works, or fail.", "curl --fail --silent --retry 10 --retry-connrefused http://localhost:8080/healthz"},
	}
}

func (c *cli) writeHooks(dir, group string) error {
	if !fleet.ValidName(group) {
		return usage("for example: brine init --hooks production", "--hooks wants the name of a group")
	}
	dir = filepath.Join(dir, "hooks", group)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write templates: %w", err)
	}
	for _, t := range hookTemplates() {
		file := filepath.Join(dir, t[0]+".sh")
		if err := writeNew(file, fmt.Appendf(nil, hookTemplate, t[0], t[1], t[2])); err != nil {
			return err
		}
		if err := os.Chmod(file, 0o755); err != nil {
			return fmt.Errorf("write templates: %w", err)
		}
		if err := c.print(file); err != nil {
			return err
		}
	}
	c.sayf("change them to your needs and commit them; remove those that do nothing\n")
	return nil
}

// writeNew writes a file that must not be there yet.
func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return failure("move it away, or name another directory with --dir", "%s is there already", file)
	case err != nil:
		return fmt.Errorf("write sample: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write sample: %w", err)
	}
	return nil
}
