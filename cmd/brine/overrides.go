package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// strategyFlags let a command change the group's strategy for one deployment.
func strategyFlags(cmd *cobra.Command, req *fleet.DeployRequest) {
	o := func() *fleet.Override {
		if req.Strategy == nil {
			req.Strategy = &fleet.Override{}
		}
		return req.Strategy
	}
	amount := func(name, usage string, set func(fleet.Amount)) {
		cmd.Flags().Func(name, usage, func(text string) error {
			a, err := fleet.ParseAmount(text)
			set(a)
			return err
		})
	}
	amount("batch", "minions at once: a count, a percentage, half or all", func(a fleet.Amount) { o().Batch = &a })
	amount("min-healthy", "minions that must stay in service: a count or a percentage", func(a fleet.Amount) { o().MinHealthy = &a })
	amount("canary", "minions that get it first", func(a fleet.Amount) { canary(o()).Amount = a })
	cmd.Flags().Func("bake", "time to watch the canary, such as 10m", func(text string) error {
		return canary(o()).Bake.UnmarshalText([]byte(text))
	})
	cmd.Flags().BoolFunc("approve", "somebody has to approve the canary", func(text string) (err error) {
		canary(o()).Approve, err = strconv.ParseBool(text)
		return err
	})
	cmd.Flags().BoolFunc("no-canary", "all minions alike", func(text string) (err error) {
		o().NoCanary, err = strconv.ParseBool(text)
		return err
	})
	cmd.Flags().BoolFunc("window", "rolling: the next minion begins as soon as one is done", func(text string) error {
		on, err := strconv.ParseBool(text)
		o().Window = &on
		return err
	})
	cmd.Flags().BoolFunc("no-revert", "leave a failed deployment as it is", func(text string) error {
		on, err := strconv.ParseBool(text)
		o().NoRevert = &on
		return err
	})
	cmd.Flags().Func("max-failures", "failed minions that do not stop it", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 31)
		count := int(n)
		o().MaxFailures = &count
		return err
	})
	cmd.Flags().Func("timeout", "time for all of it, such as 30m", func(text string) error {
		o().Timeout = new(fleet.Duration)
		return o().Timeout.UnmarshalText([]byte(text))
	})
}

func canary(o *fleet.Override) *fleet.Canary {
	if o.Canary == nil {
		o.Canary = &fleet.Canary{}
	}
	return o.Canary
}
