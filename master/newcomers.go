package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// catchUp brings up the minions that an ended deployment missed: those that came meanwhile, and so are not at the group's
// new target, and those that fell away inside it and are back.
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
	parts := make(map[fleet.MinionID]*fleet.MinionProgress, len(dep.Minions))
	for _, m := range dep.Minions {
		parts[m.Minion] = m
	}
	for _, c := range candidates {
		var missed bool
		switch part := parts[c.Minion.ID]; {
		case part != nil && fellAway(part):
			missed = target != ""
		case part != nil && part.Phase == fleet.MinionFailed, dep.Status.ExitCode() == fleet.ExitFailed:
		default:
			missed = c.Live != target
		}
		if missed && c.Minion.Connected && !c.Minion.Drained {
			d.bringUp(app, dep.Group, c.Minion.ID)
		}
	}
}

// fellAway reports whether a minion has no part in a deployment only because it was not there, or died inside it.
func fellAway(m *fleet.MinionProgress) bool {
	return m.Away || m.Phase == fleet.MinionFailed && (strings.HasPrefix(m.Reason, rollout.Lost) || strings.HasPrefix(m.Reason, string(fleet.Interrupted)))
}

// highstate brings a minion to the target revisions of all groups that match it. It is the answer to a newcomer; again is
// for one that has had that answer, and leaves alone what is live.
func (d *deployments) highstate(ctx context.Context, minion fleet.MinionID, again bool) ([]string, error) {
	return d.eachGroup(ctx, minion, func(app fleet.Application, group fleet.GroupName) bool {
		live, err := d.journal.Live(ctx, app.Name, group)
		due, derr := d.due(app.Name, group, minion)
		return !again || err != nil || derr != nil || live[minion] != due
	})
}

// returned brings a minion up that was away, or got lost, when its group was last deployed to.
func (d *deployments) returned(minion fleet.MinionID) {
	d.running.Go(func() {
		_, err := d.eachGroup(d.ctx, minion, func(app fleet.Application, group fleet.GroupName) bool {
			last, err := d.journal.Deployments(d.ctx, journal.Filter{App: app.Name, Group: group, Limit: 1})
			if err != nil || len(last) == 0 || !last[0].Status.Ended() {
				return false
			}
			part, err := d.journal.Progress(d.ctx, last[0].ID, minion)
			return err == nil && fellAway(part)
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
			m, matches, err := d.roster.find(group.Target, id)
			if err != nil {
				return nil, fmt.Errorf("target of %s %s: %w", app.Name, name, err)
			}
			if !matches || m.Drained {
				continue
			}
			target, err := d.target(ctx, app.Name, name)
			if err != nil {
				return nil, err
			}
			if target != "" && wanted(app, name) {
				names = append(names, string(app.Name)+"/"+string(name))
				d.bringUp(app, name, id)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// bringUp deploys the group's target revision to one minion and lets it into the pool, in the background. A minion that
// is asked for while that is under way is brought up once more: it may have died meanwhile, or the group have a new target.
func (d *deployments) bringUp(app fleet.Application, group fleet.GroupName, minion fleet.MinionID) {
	key := strings.Join([]string{string(app.Name), string(group), string(minion)}, "/")
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, busy := d.bringing[key]; busy {
		d.bringing[key] = true
		return
	}
	d.bringing[key] = false
	d.running.Go(func() {
		for again := true; again; {
			if err := d.newcomer(app, group, minion); err != nil && d.ctx.Err() == nil {
				d.log.Error("newcomer not brought up", "minion", minion, "app", app.Name, "group", group, "error", err)
			}
			again = d.brought(key)
		}
	})
}

// brought ends a newcomer's turn and reports whether it is to have another.
func (d *deployments) brought(key string) (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if again = d.bringing[key] && d.ctx.Err() == nil; again {
		d.bringing[key] = false
	} else {
		delete(d.bringing, key)
	}
	return again
}

// newcomer brings one minion up, once no other deployment works on it.
func (d *deployments) newcomer(app fleet.Application, group fleet.GroupName, minion fleet.MinionID) error {
	release, err := d.rollout.Hold(d.ctx, app.Name, group, minion)
	if err != nil {
		return err
	}
	defer release()
	if d.isHeld(minion) {
		d.log.Info("newcomer waits for its highstate", "minion", minion, "app", app.Name, "group", group)
		return nil
	}
	d.scaling.asked(d.ctx, minion)
	due, err := d.due(app.Name, group, minion)
	if err != nil {
		return err
	}
	if d.serves(app, group, minion, due) {
		d.log.Info("minion serves the revision that is due", "minion", minion, "app", app.Name, "group", group, "revision", due.Short())
		return nil
	}
	revision, err := d.journal.Revision(d.ctx, app.Name, due)
	if err != nil {
		return fmt.Errorf("revision %s: %w", due.Short(), err)
	}
	now := time.Now()
	dep := &fleet.Deployment{
		ID: newDeploymentID(now), App: app.Name, Group: group, Kind: fleet.KindNewcomer, Ref: string(minion), Revision: &revision, Force: true,
		Previous: due, Status: fleet.Queued, By: "minion:" + string(minion), Created: now, Strategy: fleet.Strategy{LostAfter: app.Groups[group].Strategy.LostAfter},
	}
	if err := d.journal.BeginDeployment(d.ctx, dep); err != nil {
		return fmt.Errorf("begin deployment: %w", err)
	}
	d.carryOut(app, dep)
	return nil
}

// resumeNewcomer goes on with a newcomer's deployment after a restart of the master.
func (d *deployments) resumeNewcomer(app fleet.Application, dep *fleet.Deployment) {
	d.running.Go(func() {
		release, err := d.rollout.Hold(d.ctx, dep.App, dep.Group, fleet.MinionID(dep.Ref))
		if err != nil {
			return // the master stops
		}
		ended := d.carryOut(app, dep)
		release()
		if ended != nil {
			d.catchUp(app, ended)
		}
	})
}

// due is the revision that a minion should be at: that of a running deployment, see rollout.Due, or the group's target.
func (d *deployments) due(app fleet.AppName, group fleet.GroupName, minion fleet.MinionID) (fleet.Digest, error) {
	unended, err := d.journal.Unended(d.ctx)
	if err != nil {
		return "", fmt.Errorf("look for a running deployment: %w", err)
	}
	for _, dep := range unended {
		if dep.App != app || dep.Group != group || dep.Kind == fleet.KindNewcomer {
			continue
		}
		if rollout.Due(dep, minion) {
			return dep.Revision.Digest, nil
		}
	}
	return d.target(d.ctx, app, group)
}

// serves reports whether a minion is at the revision and in its pool. A minion that was only started anew must not be
// taken out: all of a group may be started anew at once.
func (d *deployments) serves(app fleet.Application, name fleet.GroupName, minion fleet.MinionID, revision fleet.Digest) bool {
	group := app.Groups[name]
	if group.Balancer == nil {
		return false
	}
	b, ok := d.rollout.Balancers[group.Balancer.Use]
	live, err := d.journal.Live(d.ctx, app.Name, name)
	m, known := d.roster.get(minion)
	if !ok || !known || err != nil || live[minion] != revision {
		return false
	}
	member, err := rollout.MemberOf(*group.Balancer, m)
	if err != nil {
		return false
	}
	members, err := b.Members(d.ctx, group.Balancer.Pool)
	return err == nil && members[member.Name] == balancer.Up
}
