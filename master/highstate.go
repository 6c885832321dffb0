package master

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// highstateTime is how long a minion may take to begin with its highstate.
const highstateTime = time.Hour

// highstate answers a minion that asks for all that it should be. First it gets a job that applies the states; when that
// has succeeded it asks for its groups, and no pool gets it before.
func (m *Master) highstate(ctx context.Context, minion fleet.MinionID, body json.RawMessage) (any, error) {
	var q wire.HighstateRequest
	if len(body) > 0 {
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, fmt.Errorf("request for the highstate: %w", err)
		}
	}
	if !q.Groups && len(m.cfg.States.Root) > 0 {
		now := time.Now()
		job := fleet.Job{
			ID: fleet.JobID(newDeploymentID(now)), Minion: minion, Function: "state.highstate", Args: json.RawMessage("{}"), By: "minion:" + string(minion),
			Issued: now, Deadline: now.Add(highstateTime),
		}
		return wire.HighstateReply{Job: string(job.ID), Groups: []string{}}, m.dispatcher.publish(ctx, nil, []fleet.Job{job})
	}
	m.deployments.hold(minion, false)
	groups, err := m.deployments.highstate(ctx, minion, q.Again)
	return wire.HighstateReply{Groups: notNil(groups)}, err
}

// hold keeps a minion out of its pools until its highstate has succeeded, or lets it in again.
func (d *deployments) hold(minion fleet.MinionID, held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if held {
		d.held[minion] = true
	} else {
		delete(d.held, minion)
	}
}

func (d *deployments) isHeld(minion fleet.MinionID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held[minion]
}
