package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/internal/service"
	"github.com/brine-deploy/brine/minion/caller"
	"github.com/brine-deploy/brine/pkg/callargs"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/stateoutput"
)

// callOptions are the flags of call.
type callOptions struct {
	caller.Options
	local   bool
	grains  string
	options []string
	output  string
	mode    string
}

func callCommand() *cobra.Command {
	var o callOptions
	cmd := &cobra.Command{
		Use:   "call --local FUNCTION [ARG...] [KEY=VALUE...]",
		Short: "Run a function on this host without a master, such as state.apply",
		Long: `call runs one function here: state.apply, state.highstate, test.ping, ... Values are read as YAML: test=True,
pillar='{key: value}'. Nothing runs unless all SLS files that are needed could be compiled.

Exit codes, as Salt's: 0 done, 1 could not compile, 2 some state failed or there was none, 5 the pillar could not be compiled.`,
		Example: `  brine-minion call --local state.apply web test=True --file-root /srv/salt --pillar-root /srv/pillar`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, words []string) error {
			report, err := o.call(cmd, words)
			if err != nil {
				return err
			}
			if err := o.print(cmd, report); err != nil {
				return err
			}
			if report.Retcode != 0 {
				return service.Exit(report.Retcode)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.local, "local", false, "without a master; needed, as there is no other way yet")
	flags.StringVar(&o.ID, "id", "", "the minion's id (default the host's name)")
	flags.StringArrayVar(&o.FileRoots, "file-root", []string{"/srv/salt"}, "where SLS and other files are; several are looked through in order")
	flags.StringArrayVar(&o.PillarRoots, "pillar-root", []string{"/srv/pillar"}, "where the pillar's files are")
	flags.StringVar(&o.grains, "grains", "", "JSON file of grains that win over those found")
	flags.StringArrayVar(&o.options, "option", nil, "KEY=JSON: a setting of the minion, by Salt's name, such as failhard=true")
	flags.StringVar(&o.output, "output", "", "text or json")
	flags.StringVar(&o.mode, "state-output", string(stateoutput.Full), "how much is told of each state: full, terse, mixed, changes")
	return cmd
}

func (o *callOptions) call(cmd *cobra.Command, words []string) (*stateoutput.Report, error) {
	switch {
	case !o.local:
		return nil, errors.New("say --local: functions of a connected minion are run with brine run")
	case o.output != "" && o.output != "text" && o.output != "json":
		return nil, fmt.Errorf("unknown output %q: it must be text or json", o.output)
	}
	if err := stateoutput.Mode(o.mode).Valid(); err != nil {
		return nil, err
	}
	if err := o.read(); err != nil {
		return nil, err
	}
	o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := caller.New(cmd.Context(), o.Options)
	if err != nil {
		return nil, err
	}
	args, named := callargs.Parse(words[1:])
	answer, err := c.Call(cmd.Context(), words[0], args, named)
	if err != nil {
		return nil, err
	}
	return caller.Report(answer), nil
}

// read reads what flags name or hold.
func (o *callOptions) read() error {
	if o.grains != "" {
		text, err := os.ReadFile(o.grains)
		if err != nil {
			return fmt.Errorf("read grains: %w", err)
		}
		o.Grains = &data.Map{}
		if err := o.Grains.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("read grains: %s: %w", o.grains, err)
		}
	}
	o.Opts = &data.Map{}
	for _, option := range o.options {
		key, text, ok := strings.Cut(option, "=")
		value, err := data.FromJSON([]byte(text))
		if !ok || err != nil {
			return fmt.Errorf("--option %s: it must be KEY=JSON, such as failhard=true", option)
		}
		o.Opts.Set(key, value)
	}
	return nil
}

func (o *callOptions) print(cmd *cobra.Command, report *stateoutput.Report) error {
	out := cmd.OutOrStdout()
	if o.output != "json" {
		stateoutput.Print(out, "local", report, stateoutput.Mode(o.mode))
		return nil
	}
	if report.States == nil {
		report.States = []stateoutput.State{}
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(report); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
