package main

import "github.com/spf13/cobra"

var version = "devel" // set by the linker

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  positional,
		RunE:  func(*cobra.Command, []string) error { return c.print("brine " + version) },
	}
}
