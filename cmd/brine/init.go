package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed sample/shop.yml
var sampleApp []byte

func (c *cli) initCommand() *cobra.Command {
	dir := "."
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a sample application file",
		Long: `Write shop.yml, a sample application file with comments. Change it, then put it into apps.d/ of the master's
configuration. A file that is there already is left alone.`,
		Example: `  brine init --dir /etc/brine/apps.d`,
		Args:    positional,
		RunE: func(*cobra.Command, []string) error {
			file := filepath.Join(dir, "shop.yml")
			if err := writeNew(file, sampleApp); err != nil {
				return err
			}
			c.sayf("change it to your needs, put it into apps.d/ of the master, then: brine plan shop production\n")
			return c.print(file)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", dir, "where to write it")
	return cmd
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
