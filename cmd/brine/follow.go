package main

import (
	"context"
	"errors"
	"slices"

	"github.com/brine-deploy/brine/cmd/brine/progress"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// follow shows a deployment until it has ended, then its summary; the error is the deployment's exit code.
// With log it shows what the hook scripts say too.
func (c *cli) follow(ctx context.Context, d fleet.Deployment, log bool) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	v := &watched{view: c.view(d, stop)}
	done := func() {}
	if log {
		done = c.lines(watching, d, v)
	}
	err := c.master.records(watching, d.ID, v.show, func(err error) {
		v.say("brine: lost the master (" + err.Error() + "); deployment " + string(d.ID) + " is taken up again when it is back")
	})
	if err != nil {
		stop() // no last lines to wait for
	}
	done()
	broken := v.close()
	switch {
	case errors.Is(err, context.Canceled):
		c.sayf("deployment %s goes on; brine watch %s\n", d.ID, d.ID)
		return exit(fleet.ExitFailed)
	case err != nil:
		p := c.problem(err)
		return failure("the deployment may go on: brine watch "+string(d.ID), "deployment %s: %s", d.ID, p.Message)
	case broken != nil:
		return broken
	}
	return c.summary(ctx, d.ID)
}

// summary prints how a deployment ended.
func (c *cli) summary(ctx context.Context, id fleet.DeploymentID) error {
	d, err := c.deployment(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		err = c.printJSONLine(d)
	} else {
		err = c.printLines(progress.Summary(d, c.standing(ctx, d)))
	}
	if err != nil {
		return err
	}
	return exit(d.Status.ExitCode())
}

// standing is where the deployment's group stands now; nil when the master cannot tell, or something newer is under way.
func (c *cli) standing(ctx context.Context, d fleet.Deployment) *fleet.GroupStatus {
	var status fleet.Status
	if err := c.master.get(ctx, "/v1/status", nil, &status); err != nil {
		return nil // the summary does without
	}
	i := slices.IndexFunc(status.Groups, func(g fleet.GroupStatus) bool { return g.App == d.App && g.Group == d.Group })
	if i < 0 {
		return nil
	}
	g := &status.Groups[i]
	if g.Running != nil || g.Last != nil && g.Last.ID > d.ID { // ids sort by time
		return nil
	}
	return g
}
