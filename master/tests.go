package master

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// testFunction says what a release would do. It is no release with a flag: a minion that does not know it refuses it.
const testFunction = "deploy.test"

// postTest asks the minions of a group what a deployment would do there. The revision is built when it has to be; no minion
// is touched, and no deployment comes of it.
func (m *Master) postTest(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.DeployRequest](r)
	if err != nil {
		return nil, err
	}
	d := m.deployments
	app, err := d.apps.get(req.App, req.Group)
	if err != nil {
		return nil, err
	}
	group := *app.Groups[req.Group]
	candidates, err := d.candidates(ctx, req.App, group, req.Group)
	if err != nil {
		return nil, err
	}
	by := caller(ctx)
	revision, err := d.revisions.Prepare(ctx, app, cmp.Or(req.Ref, app.Source.Ref), by, func(string) {})
	if err != nil {
		return nil, usage(err)
	}
	limit := group.Timeout.Or(rollout.DefaultTimeout)
	url, identity, err := d.revisions.Fetch(ctx, revision, limit)
	if err != nil {
		return nil, fmt.Errorf("revision %s: %w", revision.Digest.Short(), err)
	}
	now := time.Now()
	ticket := fleet.RunTicket{Job: fleet.JobID(newDeploymentID(now)), Deadline: now.Add(limit)}
	var jobs []fleet.Job
	for _, c := range candidates {
		order := fleet.ReleaseOrder{
			Deployment: fleet.DeploymentID(ticket.Job), App: req.App, Group: req.Group, Revision: revision, URL: url, Identity: identity,
			Layout: group.Layout, Shared: group.Shared, Keep: group.Keep, Hooks: group.Hooks, Copy: group.Copy, RunAs: group.RunAs,
			Env: group.Env, Timeout: group.Timeout, Force: req.Force, Test: true,
		}
		if order.Root, err = rollout.Expand(group.Root, fleet.Minion{ID: c.Minion.ID}); err != nil {
			return nil, usage(fmt.Errorf("root: %w", err))
		}
		args, err := json.Marshal(order)
		if err != nil {
			return nil, fmt.Errorf("encode order for %s: %w", c.Minion.ID, err)
		}
		jobs = append(jobs, fleet.Job{ID: ticket.Job, Minion: c.Minion.ID, Function: testFunction, Args: args, By: by, Issued: now, Deadline: ticket.Deadline})
		ticket.Minions = append(ticket.Minions, c.Minion.ID)
		if !c.Minion.Connected {
			ticket.Away = append(ticket.Away, fleet.AwayPeer{Minion: c.Minion.ID, Since: c.Minion.Since})
		}
	}
	return ticket, m.dispatcher.publish(ctx, nil, jobs)
}
