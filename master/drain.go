package master

import (
	"context"
	"fmt"
	"slices"

	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// drain takes a minion out of all its pools and keeps it out.
func (d *deployments) drain(ctx context.Context, id fleet.MinionID) (fleet.Drained, error) {
	minion, ok := d.roster.get(id)
	if !ok {
		return fleet.Drained{}, &fleet.Problem{Message: fmt.Sprintf("unknown minion %q", id), Hint: "brine keys list shows the accepted ones", Exit: fleet.ExitUsage}
	}
	if err := d.roster.setDrained(ctx, id, true); err != nil {
		return fleet.Drained{}, err
	}
	out := fleet.Drained{Minion: id, Pools: []string{}}
	apps, err := d.apps.list()
	if err != nil {
		return out, err
	}
	for _, app := range apps {
		for name, group := range app.Groups {
			pool, err := d.leave(ctx, *group, minion)
			if err != nil {
				return out, fmt.Errorf("drain %s out of %s: %w", id, pool, err)
			}
			if pool != "" {
				out.Pools = append(out.Pools, pool)
				rec := fleet.Record{Kind: fleet.PoolChanged, App: app.Name, Group: name, Minion: id, Message: "drained out of " + pool}
				if err := d.journal.Append(ctx, rec); err != nil {
					return out, fmt.Errorf("journal drain: %w", err)
				}
			}
		}
	}
	slices.Sort(out.Pools)
	return out, nil
}

// leave drains one minion out of one group's pool; the pool's name is empty when it is not the group's minion.
func (d *deployments) leave(ctx context.Context, group fleet.Group, minion fleet.Minion) (string, error) {
	if group.Balancer == nil {
		return "", nil
	}
	minions, err := d.roster.match(group.Target)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(minions, func(m fleet.Minion) bool { return m.ID == minion.ID }) {
		return "", nil
	}
	pool := group.Balancer.Use + "/" + group.Balancer.Pool
	member, err := rollout.MemberOf(*group.Balancer, minion)
	if err != nil {
		return pool, err
	}
	b, ok := d.rollout.Balancers[group.Balancer.Use]
	if !ok {
		return pool, fmt.Errorf("master.yml has no balancer %q", group.Balancer.Use)
	}
	return pool, rollout.Drain(ctx, b, *group.Balancer, member)
}

// undrain lets a drained minion be deployed to again, and brings it up.
func (d *deployments) undrain(ctx context.Context, id fleet.MinionID) ([]string, error) {
	if err := d.roster.setDrained(ctx, id, false); err != nil {
		return nil, err
	}
	return d.highstate(ctx, id, false)
}
