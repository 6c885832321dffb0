package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/brine-deploy/brine/pkg/config"
)

const rootLong = `brine deploys software to a fleet and puts it behind the load balancer.

It asks the master over its Unix socket; the master and the minions do the work. A
deployment goes on when brine goes away: brine watch shows it again.

Data goes to stdout, progress and problems go to stderr. With --output json stdout gets
one JSON document; deploy, rollback, watch, run and jobs watch print JSON lines, the result last.

Settings come from flags, then the environment (BRINE_SOCKET, BRINE_OUTPUT, BRINE_COLOR),
then the settings file (socket:, output:, color:), then the defaults.

` + exitCodes

const exitCodes = `Exit codes:
  0  done
  1  failed
  2  usage or bad configuration
  3  partly failed
  4  failed, and the revision before serves again
  5  locked or frozen
  6  timed out`

// The groups of the help.
const (
	deployGroup = "deploy"
	fleetGroup  = "fleet"
	setupGroup  = "setup"
)

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:               "brine",
		Short:             "Deploy software to a fleet",
		Long:              rootLong,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		PersistentPreRun:  func(*cobra.Command, []string) { c.started = true },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("see "+cmd.CommandPath()+" --help", "%s", err)
	})
	root.SetVersionTemplate("brine {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&c.file, "config", "", "settings file (BRINE_CONFIG)")
	flags.BoolVar(&c.noColor, "no-color", false, "no colours, as with NO_COLOR in the environment")
	flags.AddFlagSet(settingFlags())

	root.AddGroup(&cobra.Group{ID: deployGroup, Title: "Deploy:"}, &cobra.Group{ID: fleetGroup, Title: "The fleet:"},
		&cobra.Group{ID: setupGroup, Title: "Setting up:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(deployGroup, c.deployCommand(), c.planCommand(), c.rollbackCommand(), c.watchCommand(), c.statusCommand(),
		c.historyCommand(), c.showCommand(), c.diffCommand(), c.revisionsCommand(), c.stopCommand(), c.approveCommand(), c.rejectCommand(), c.decideCommand(), c.retryCommand(),
		c.lockCommand(), c.unlockCommand())
	add(fleetGroup, c.runCommand(), c.jobsCommand(), c.minionsCommand(), c.grainsCommand(), c.pillarCommand(), c.targetCommand(), c.keysCommand(), c.drainCommand())
	add(setupGroup, c.docCommand(), c.doctorCommand(), c.initCommand(), c.versionCommand())
	root.SetHelpCommandGroupID(setupGroup)
	root.SetCompletionCommandGroupID(setupGroup)
	root.AddCommand(c.manCommand())
	return root
}

// settingFlags are the flags of the CLI's configuration.
func settingFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	config.CLIFlags(flags)
	flags.Lookup("output").Shorthand = "o"
	return flags
}

// positional checks the arguments against the words of the command's Use: WORD has to be there, [WORD] may be, and
// what ends in ... may come again.
func positional(cmd *cobra.Command, args []string) error {
	words := strings.Fields(cmd.Use)[1:]
	hint := "usage: " + cmd.UseLine()
	for i, word := range words {
		if len(args) <= i && !strings.HasPrefix(word, "[") {
			return usage(hint, "%s: %s is missing", cmd.Name(), word)
		}
	}
	if len(args) > len(words) && (len(words) == 0 || !strings.HasSuffix(words[len(words)-1], "...")) {
		return usage(hint, "%s: unexpected argument %q", cmd.Name(), args[len(words)])
	}
	return nil
}

// family is the Args of a command that has subcommands only.
func family(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(hint, "unknown command %q for %q", args[0], cmd.CommandPath())
}
