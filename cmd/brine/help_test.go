package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestHelpIsWhatWasAgreed keeps the help of every command as a file, so that a change of it is seen in review.
func TestHelpIsWhatWasAgreed(t *testing.T) {
	root := (&cli{}).rootCommand()
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		t.Run(strings.Join(append([]string{"brine"}, path...), "_"), func(t *testing.T) {
			var out, problems bytes.Buffer
			if code := run(t.Context(), append(path, "--help"), nil, &out, &problems); code != 0 || problems.Len() > 0 {
				t.Fatalf("exit code %d, stderr %q", code, &problems)
			}
			golden := filepath.Join("testdata", "help", strings.Join(append([]string{"brine"}, path...), "_")+".txt")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != string(want) {
				t.Errorf("help differs from %s (go test -update writes it anew):\n%s", golden, got)
			}
			if cmd.Runnable() && !cmd.HasSubCommands() && cmd.Short == "" {
				t.Errorf("%s has no short help", cmd.CommandPath())
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub, append(slices.Clip(path), sub.Name()))
		}
	}
	walk(root, nil)
}
