package master

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// postStop stops a deployment that runs.
func (m *Master) postStop(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.StopRequest](r)
	if err != nil {
		return nil, err
	}
	return m.told(ctx, r, func(id fleet.DeploymentID) error {
		return m.rollout.Stop(ctx, id, fleet.Stop{By: caller(ctx), At: time.Now(), Reason: req.Reason, Now: req.Now, Revert: req.Revert})
	})
}

// postAnswer approves or rejects what a deployment waits for.
func (m *Master) postAnswer(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.AnswerRequest](r)
	if err != nil {
		return nil, err
	}
	return m.told(ctx, r, func(id fleet.DeploymentID) error {
		return m.rollout.Answer(ctx, id, fleet.Answer{Approved: req.Approved, By: caller(ctx), At: time.Now(), Reason: req.Reason})
	})
}

func (m *Master) postDecide(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.DecideRequest](r)
	if err != nil {
		return nil, err
	}
	return m.told(ctx, r, func(id fleet.DeploymentID) error {
		return m.rollout.Decide(ctx, id, req.Minion, fleet.Decision{Choice: req.Choice, By: caller(ctx), At: time.Now(), Reason: req.Reason})
	})
}

// told gives the deployment after something was said to it.
func (m *Master) told(ctx context.Context, r *http.Request, say func(fleet.DeploymentID) error) (any, error) {
	d, err := m.deployment(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := say(d.ID); err != nil {
		problem := &fleet.Problem{Message: "deployment " + string(d.ID) + ": " + err.Error(), Exit: fleet.ExitFailed}
		if errors.Is(err, rollout.ErrNotRunning) && d.Status.Ended() {
			problem.Message, problem.Hint = "deployment "+string(d.ID)+" has ended: "+string(d.Status), "brine watch "+string(d.ID)+" shows it"
		}
		return nil, problem
	}
	return m.deployment(ctx, r)
}
