package master

import (
	"context"
	"fmt"
	"net/http"

	"github.com/brine-deploy/brine/master/cloud"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// leave takes a minion that will not come back out of its pools, its key and its name out of the fleet.
func (m *Master) leave(ctx context.Context, id fleet.MinionID, by string) error {
	_, err := m.forget(ctx, id, by)
	return err
}

func (m *Master) forget(ctx context.Context, id fleet.MinionID, by string) (fleet.Drained, error) {
	minion, _ := m.roster.get(id)
	drained, err := m.deployments.drain(ctx, id)
	if err != nil {
		return drained, err
	}
	if _, err := m.keyring.Revoke(ctx, id, by); err != nil {
		return drained, fmt.Errorf("revoke key: %w", err)
	}
	if err := m.journal.DeleteMinion(ctx, id); err != nil {
		return drained, err
	}
	m.log.Info("minion left", "minion", id, "by", by, "pools", drained.Pools)
	m.scaling.tell(minion, cloud.Left, "")
	return drained, nil
}

// postLeave is how whoever takes a host away says so.
func (m *Master) postLeave(ctx context.Context, r *http.Request) (any, error) {
	return m.forget(ctx, fleet.MinionID(r.PathValue("id")), caller(ctx))
}
