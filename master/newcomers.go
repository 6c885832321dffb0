package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// catchUp brings up minions that came while the group was being deployed to, and so are not at its new target.
func (d *deployments) catchUp(app fleet.Application, dep *fleet.Deployment) {
	group, ok := app.Groups[dep.Group]
	if !ok {
		return
	}
	target, terr := d.target(d.ctx, app.Name, dep.Group)
	candidates, err := d.roster.candidates(d.ctx, app.Name, *group, dep.Group)
	if err = errors.Join(terr, err); err != nil {
		d.log.Error("newcomers not looked for", "app", app.Name, "group", dep.Group, "error", err)
		return
	}
	for _, c := range candidates {
		failed := slices.ContainsFunc(dep.Minions, func(m *fleet.MinionProgress) bool {
			return m.Minion == c.Minion.ID && m.Phase == fleet.MinionFailed
		})
		if c.Minion.Connected && !c.Minion.Drained && !failed && c.Live != target {
			d.bringUp(app, dep.Group, c.Minion.ID)
		}
	}
}

// highstate brings a minion to the target revisions of all groups that match it. It is the answer to a newcomer.
func (d *deployments) highstate(ctx context.Context, minion fleet.MinionID) ([]string, error) {
	return d.eachGroup(ctx, minion, func(fleet.Application, fleet.GroupName) bool { return true })
}

// returned brings a minion up that was away, or got lost, when its group was last deployed to.
func (d *deployments) returned(minion fleet.MinionID) {
	d.running.Go(func() {
		_, err := d.eachGroup(d.ctx, minion, func(app fleet.Application, group fleet.GroupName) bool {
			last, err := d.journal.Deployments(d.ctx, journal.Filter{App: app.Name, Group: group, Limit: 1})
			if err != nil || len(last) == 0 || !last[0].Status.Ended() {
				return false
			}
			return slices.ContainsFunc(last[0].Minions, func(m *fleet.MinionProgress) bool {
				return m.Minion == minion && (m.Away || m.Phase == fleet.MinionFailed && strings.HasPrefix(m.Reason, "lost"))
			})
		})
		if err != nil && d.ctx.Err() == nil {
			d.log.Warn("returned minion not brought up", "minion", minion, "error", err)
		}
	})
}

// eachGroup brings a minion up in every group that matches it, has a target and is wanted.
func (d *deployments) eachGroup(ctx context.Context, id fleet.MinionID, wanted func(fleet.Application, fleet.GroupName) bool) ([]string, error) {
	apps, err := d.apps.list()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, app := range apps {
		for name, group := range app.Groups {
			minions, err := d.roster.match(group.Target)
			if err != nil {
				return nil, fmt.Errorf("target of %s %s: %w", app.Name, name, err)
			}
			i := slices.IndexFunc(minions, func(m fleet.Minion) bool { return m.ID == id && !m.Drained })
			target, err := d.target(ctx, app.Name, name)
			if err != nil {
				return nil, err
			}
			if i >= 0 && target != "" && wanted(app, name) {
				names = append(names, string(app.Name)+"/"+string(name))
				d.bringUp(app, name, id)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// bringUp deploys the group's target revision to one minion and lets it into the pool. A group that is being deployed
// to may get a new target meanwhile: then the minion is brought up once more.
func (d *deployments) bringUp(app fleet.Application, group fleet.GroupName, minion fleet.MinionID) {
	key := strings.Join([]string{string(app.Name), string(group), string(minion)}, "/")
	d.mu.Lock()
	busy := d.bringing[key]
	d.bringing[key] = true
	d.mu.Unlock()
	if busy {
		return
	}
	free := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.bringing, key)
	}
	if err := d.startNewcomer(app, group, minion, free); err != nil {
		free()
		d.log.Error("newcomer not brought up", "minion", minion, "app", app.Name, "group", group, "error", err)
	}
}

func (d *deployments) startNewcomer(app fleet.Application, group fleet.GroupName, minion fleet.MinionID, free func()) error {
	target, err := d.target(d.ctx, app.Name, group)
	if err != nil {
		return err
	}
	revision, err := d.journal.Revision(d.ctx, app.Name, target)
	if err != nil {
		return fmt.Errorf("revision %s: %w", target.Short(), err)
	}
	now := time.Now()
	dep := &fleet.Deployment{
		ID: newDeploymentID(now), App: app.Name, Group: group, Kind: fleet.KindNewcomer, Ref: string(minion), Revision: &revision, Force: true,
		Previous: target, Status: fleet.Queued, By: "minion:" + string(minion), Created: now, Strategy: fleet.Strategy{LostAfter: app.Groups[group].Strategy.LostAfter},
	}
	if err := d.journal.BeginDeployment(d.ctx, dep); err != nil {
		return fmt.Errorf("begin deployment: %w", err)
	}
	d.run(app, dep, func() {
		free()
		if now, err := d.target(d.ctx, app.Name, group); err == nil && now != target {
			d.bringUp(app, group, minion)
		}
	})
	return nil
}
