package config

import (
	"cmp"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
)

// CLIFile is read when the user has no brine/brine.yml in his own configuration directory and names none.
const CLIFile = "/etc/brine/brine.yml"

// DefaultSocket is where the master's API is.
const DefaultSocket = "/run/brine/master.sock"

// CLI is the configuration of brine, the command line.
type CLI struct {
	Socket string `yaml:"socket"` // of the master's API
	Output string `yaml:"output"` // text or json
	Color  string `yaml:"color"`  // auto, always or never
}

// DefaultCLI is the configuration of a command line without file, environment and flags.
func DefaultCLI() CLI {
	return CLI{Socket: DefaultSocket, Output: "text", Color: "auto"}
}

func (c *CLI) settings() []setting {
	return []setting{
		{"socket", "Unix socket of the master", &c.Socket, notEmpty},
		{"output", "what is printed: text or json", &c.Output, oneOf("text", "json")},
		{"color", "when colours are used: auto, always or never", &c.Color, oneOf("auto", "always", "never")},
	}
}

// CLIFlags adds the command line's flags to fs.
func CLIFlags(fs *pflag.FlagSet) {
	c := DefaultCLI()
	register(fs, c.settings())
}

// LoadCLI loads the command line's configuration. Path is the file that the user named with a flag; empty: BRINE_CONFIG,
// then brine/brine.yml in his configuration directory, then CLIFile. Flags are those of CLIFlags, parsed, or nil.
func LoadCLI(path string, flags *pflag.FlagSet) (CLI, error) {
	c := DefaultCLI()
	if _, err := load(cmp.Or(path, os.Getenv("BRINE_CONFIG")), cliFallback(), flags, &c, c.settings()); err != nil {
		return CLI{}, err
	}
	return c, nil
}

func cliFallback() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return CLIFile
	}
	own := filepath.Join(dir, "brine", "brine.yml")
	if _, err := os.Stat(own); err != nil {
		return CLIFile
	}
	return own
}
