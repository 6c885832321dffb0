package master

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// deployments starts rollouts and keeps them going: those that people ask for, those of newcomers, and those that the
// master before this one left unended.
type deployments struct {
	apps      *applications
	journal   *journal.Journal
	roster    *roster
	revisions *revisions
	rollout   *rollout.Rollout
	locks     *locks
	scaling   *scaling
	log       *slog.Logger

	ctx     context.Context // of the daemon: rollouts outlive the request that started them
	running sync.WaitGroup

	mu       sync.Mutex
	held     map[fleet.MinionID]bool // guarded by mu; their highstate at start has not succeeded
	bringing map[string]bool         // guarded by mu; "app/group/minion" of newcomers under way; true: asked for once more
}

const (
	retryAfter  = 2 * time.Second
	reunionPoll = 50 * time.Millisecond
)

// newDeploymentID sorts by time and is unique: a second and 4 random bytes.
func newDeploymentID(now time.Time) fleet.DeploymentID {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return fleet.DeploymentID(now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:]))
}

// plan says what a deployment would do.
func (d *deployments) plan(ctx context.Context, req fleet.DeployRequest) (fleet.Plan, error) {
	app, err := d.apps.get(req.App, req.Group)
	if err != nil {
		return fleet.Plan{}, err
	}
	group := *app.Groups[req.Group]
	ref := cmp.Or(req.Ref, app.Source.Ref)
	f, err := d.revisions.find(ctx, app, ref)
	if err != nil {
		return fleet.Plan{}, usage(err)
	}
	dep := &fleet.Deployment{
		App: req.App, Group: req.Group, Kind: fleet.KindDeploy, Revision: f.revision, Force: req.Force, Strategy: req.Strategy.Apply(group.Strategy),
	}
	minions, pauses, err := d.batches(ctx, app, *dep)
	if err != nil {
		return fleet.Plan{}, err
	}
	plan := fleet.Plan{
		App: req.App, Group: req.Group, Ref: ref, Origin: f.origin, Revision: f.revision, Strategy: dep.Strategy, Minions: minions, Pauses: pauses,
	}
	if plan.Current, err = d.target(ctx, req.App, req.Group); err != nil {
		return fleet.Plan{}, err
	}
	if group.Balancer != nil {
		plan.Pool = group.Balancer.Use + "/" + group.Balancer.Pool
	}
	d.pending(ctx, app, &plan)
	plan.ID, err = planID(plan)
	return plan, err
}

// pending adds what lies between the group's target and the plan's revision. A plan is one without that, too.
func (d *deployments) pending(ctx context.Context, app fleet.Application, plan *fleet.Plan) {
	if plan.Current == "" {
		return
	}
	current, err := d.journal.Revision(ctx, app.Name, plan.Current)
	if err == nil && current.Origin.Commit != plan.Origin.Commit {
		var diff fleet.Diff
		if diff, err = d.revisions.between(ctx, app, current.Origin.Commit, plan.Origin.Commit); err == nil {
			diff.From, diff.To = current.Origin, plan.Origin
			plan.Pending = &diff
		}
	}
	if err != nil {
		plan.Warnings = append(plan.Warnings, "what lies between is not known: "+err.Error())
	}
}

// planID names what people agree to when they agree to a plan: who gets what, from what, in which order, and what lies
// between. How long somebody is away is not part of it.
func planID(p fleet.Plan) (string, error) {
	p.Minions = slices.Clone(p.Minions)
	for i := range p.Minions {
		if p.Minions[i].Away {
			p.Minions[i].Skip = "away"
		}
	}
	text, err := json.Marshal([]any{p.App, p.Group, p.Origin.Commit, p.Revision, p.Current, p.Strategy, p.Pool, p.Minions, p.Pauses})
	if err != nil {
		return "", fmt.Errorf("name plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// agreed refuses a deployment whose plan is no longer what was agreed to.
func (d *deployments) agreed(ctx context.Context, req fleet.DeployRequest) error {
	if req.Plan == "" {
		return nil
	}
	now, err := d.plan(ctx, req)
	if err != nil || now.ID == req.Plan {
		return err
	}
	return &fleet.Problem{
		Message: fmt.Sprintf("the plan is no longer %s: the fleet, the group or the code has changed since", req.Plan),
		Hint:    fmt.Sprintf("brine plan %s %s shows what would be done now", req.App, req.Group), Exit: fleet.ExitFailed,
	}
}

// batches is what the rollout of a deployment would plan now.
func (d *deployments) batches(ctx context.Context, app fleet.Application, dep fleet.Deployment) ([]fleet.PlanMinion, []*fleet.Pause, error) {
	group, err := d.rollout.ChooseSide(ctx, *app.Groups[dep.Group], &dep)
	if err != nil {
		return nil, nil, err
	}
	candidates, err := d.candidates(ctx, app.Name, group, dep.Group)
	if err != nil {
		return nil, nil, err
	}
	minions, pauses, err := rollout.Plan(group, &dep, d.rollout.Sick(ctx, group, candidates), time.Now())
	if err != nil {
		return nil, nil, usage(err)
	}
	return minions, pauses, nil
}

// candidates is the group's minions; a group that matches nobody is a mistake to be told before anything begins.
func (d *deployments) candidates(ctx context.Context, app fleet.AppName, group fleet.Group, name fleet.GroupName) ([]rollout.Candidate, error) {
	candidates, err := d.roster.candidates(ctx, app, group, name)
	if err != nil {
		return nil, usage(err)
	}
	if len(candidates) == 0 {
		return nil, &fleet.Problem{
			Message: fmt.Sprintf("target %q of group %s matches no minion", group.Target, name),
			Hint:    "brine target EXPR tries an expression; brine keys list shows minions that wait to be accepted",
			Exit:    fleet.ExitUsage,
		}
	}
	return candidates, nil
}

// target is the group's target revision, empty when it has none yet.
func (d *deployments) target(ctx context.Context, app fleet.AppName, group fleet.GroupName) (fleet.Digest, error) {
	digest, err := d.journal.Target(ctx, app, group)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return "", fmt.Errorf("target of %s %s: %w", app, group, err)
	}
	return digest, nil
}

// deploy starts a deployment.
func (d *deployments) deploy(ctx context.Context, req fleet.DeployRequest, by string) (*fleet.Deployment, error) {
	app, err := d.apps.get(req.App, req.Group)
	if err != nil {
		return nil, err
	}
	if err := d.agreed(ctx, req); err != nil {
		return nil, err
	}
	if req.Retry != "" {
		return d.retry(ctx, app, req, by)
	}
	return d.start(ctx, app, req, &fleet.Deployment{Kind: fleet.KindDeploy, Ref: cmp.Or(req.Ref, app.Source.Ref), Force: req.Force, By: by})
}

// retry brings a deployment's revision to the minions that it failed on or did not get to.
func (d *deployments) retry(ctx context.Context, app fleet.Application, req fleet.DeployRequest, by string) (*fleet.Deployment, error) {
	before, err := d.journal.Deployment(ctx, req.Retry)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return nil, unknownDeployment(req.Retry)
	case err != nil:
		return nil, err
	case !before.Status.Ended():
		return nil, &fleet.Problem{Message: fmt.Sprintf("deployment %s has not ended", before.ID), Hint: "brine watch " + string(before.ID), Exit: fleet.ExitUsage}
	case before.Revision == nil:
		return nil, &fleet.Problem{Message: fmt.Sprintf("deployment %s has built no revision", before.ID), Hint: "deploy again", Exit: fleet.ExitUsage}
	}
	var only []fleet.MinionID
	for _, m := range before.Minions {
		if m.Phase != fleet.Active && (m.Phase != fleet.Skipped || m.Away || before.Status.ExitCode() == fleet.ExitFailed) {
			only = append(only, m.Minion)
		}
	}
	if len(only) == 0 {
		return nil, &fleet.Problem{Message: fmt.Sprintf("deployment %s missed no minion", before.ID), Exit: fleet.ExitUsage}
	}
	return d.start(ctx, app, req, &fleet.Deployment{
		Kind: fleet.KindDeploy, Ref: before.Ref, Revision: before.Revision, Retries: before.ID, Only: only, Force: req.Force, By: by,
	})
}

// rollback starts a deployment of an earlier revision: the one that was the target before, or the one that is named.
func (d *deployments) rollback(ctx context.Context, req fleet.DeployRequest, by string) (*fleet.Deployment, error) {
	app, err := d.apps.get(req.App, req.Group)
	if err != nil {
		return nil, err
	}
	revision, err := d.backTo(ctx, app.Name, req)
	if err != nil {
		return nil, err
	}
	return d.start(ctx, app, req, &fleet.Deployment{
		Kind: fleet.KindRollback, Ref: revision.Origin.Ref, Revision: revision, Force: req.Force, By: by,
	})
}

func (d *deployments) backTo(ctx context.Context, app fleet.AppName, req fleet.DeployRequest) (*fleet.Revision, error) {
	if req.Ref != "" {
		revision, err := d.revisions.byDigest(ctx, app, req.Ref)
		if err == nil && revision == nil {
			revision = d.revisions.byRef(ctx, app, req.Ref)
		}
		if err == nil && revision == nil {
			err = &fleet.Problem{
				Message: fmt.Sprintf("no stored revision of %s is called %q", app, req.Ref),
				Hint:    fmt.Sprintf("brine revisions %s lists them; brine deploy builds a new one", app), Exit: fleet.ExitUsage,
			}
		}
		return revision, err
	}
	current, err := d.target(ctx, app, req.Group)
	if err != nil {
		return nil, err
	}
	digest, err := d.journal.LastGood(ctx, app, req.Group, current)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, &fleet.Problem{Message: fmt.Sprintf("%s %s has no earlier revision to go back to", app, req.Group), Exit: fleet.ExitFailed}
	}
	if err != nil {
		return nil, fmt.Errorf("find the revision before: %w", err)
	}
	revision, err := d.journal.Revision(ctx, app, digest)
	if err != nil {
		return nil, fmt.Errorf("revision %s: %w", digest.Short(), err)
	}
	return &revision, nil
}

// start takes the group's lock and lets the rollout run. What a plan refuses is refused here, before anything begins.
func (d *deployments) start(ctx context.Context, app fleet.Application, req fleet.DeployRequest, dep *fleet.Deployment) (*fleet.Deployment, error) {
	dep.App, dep.Group, dep.BreakGlass = req.App, req.Group, req.BreakGlass
	dep.Created, dep.Status = time.Now(), fleet.Queued
	group := *app.Groups[dep.Group]
	if dep.Kind == fleet.KindRollback || dep.Retries != "" { // what went before was the canary
		group.Strategy.Canary = nil
	}
	dep.Strategy = req.Strategy.Apply(group.Strategy)
	if _, _, err := d.batches(ctx, app, *dep); err != nil {
		return nil, err
	}
	var records []fleet.Record
	if err := d.locks.check(ctx, app, dep.Group, dep.By, dep.Created); err != nil {
		if dep.BreakGlass == "" {
			return nil, err
		}
		records = append(records, fleet.Record{Kind: fleet.DeploymentNote, Message: "break glass by " + dep.By + ": " + dep.BreakGlass + " (" + err.Error() + ")"})
	}
	dep.ID = newDeploymentID(dep.Created)
	var err error
	if dep.Previous, err = d.target(ctx, dep.App, dep.Group); err != nil {
		return nil, err
	}
	for i := range records {
		records[i].App, records[i].Group, records[i].Deployment, records[i].By = dep.App, dep.Group, dep.ID, dep.By
	}
	if err := d.journal.BeginDeployment(ctx, dep, records...); err != nil {
		if locked, ok := errors.AsType[*journal.LockedError](err); ok {
			return nil, &fleet.Problem{Message: err.Error(), Hint: "brine watch " + string(locked.Holder.ID) + " shows it", Exit: fleet.ExitLocked}
		}
		return nil, fmt.Errorf("begin deployment: %w", err)
	}
	answer := *dep
	d.run(app, dep)
	return &answer, nil
}

// run carries a deployment out, and then looks after the minions that it missed.
func (d *deployments) run(app fleet.Application, dep *fleet.Deployment) {
	d.running.Go(func() {
		d.reunite(app, dep.Group)
		if ended := d.carryOut(app, dep); ended != nil {
			d.catchUp(app, ended)
		}
	})
}

// carryOut returns the deployment when it has ended, or nil when the master stops. An error of the journal is no end: it
// is tried again.
func (d *deployments) carryOut(app fleet.Application, dep *fleet.Deployment) *fleet.Deployment {
	for d.ctx.Err() == nil {
		err := d.rollout.Run(d.ctx, app, dep)
		if err == nil {
			d.log.Info("deployment ended", "deployment", dep.ID, "app", dep.App, "group", dep.Group, "status", dep.Status, "reason", dep.Reason)
			d.scaling.ended(dep)
			return dep
		}
		if d.ctx.Err() != nil {
			break
		}
		d.log.Error("deployment cannot go on, trying again", "deployment", dep.ID, "error", err)
		sleep(d.ctx, retryAfter)
		if saved, err := d.journal.Deployment(d.ctx, dep.ID); err == nil {
			dep = saved // what the journal did not take has not happened
		}
	}
	return nil
}

// reunite waits for the group's minions after a restart of the master: who was connected before comes back soon, and is
// to be neither planned around nor counted out of service.
func (d *deployments) reunite(app fleet.Application, name fleet.GroupName) {
	group, ok := app.Groups[name]
	for ok && d.ctx.Err() == nil {
		minions, err := d.roster.match(group.Target)
		missing := func(m fleet.Minion) bool { return d.roster.presence.awaited(m.ID, time.Now()) }
		if err != nil || !slices.ContainsFunc(minions, missing) {
			return
		}
		sleep(d.ctx, reunionPoll)
	}
}

// resume goes on with what the master before this one left unended.
func (d *deployments) resume(ctx context.Context) error {
	unended, err := d.journal.Unended(ctx)
	if err != nil {
		return fmt.Errorf("read unended deployments: %w", err)
	}
	for _, dep := range unended {
		app, err := d.apps.get(dep.App, "")
		if err != nil {
			d.log.Error("application of an unended deployment", "deployment", dep.ID, "error", err)
			app = fleet.Application{Name: dep.App} // the rollout ends it with a reason
		}
		d.log.Info("deployment goes on", "deployment", dep.ID, "status", dep.Status)
		if dep.Kind == fleet.KindNewcomer {
			d.resumeNewcomer(app, dep)
		} else {
			d.run(app, dep)
		}
	}
	return nil
}

// usage marks an error as one of what the user asked for or wrote.
func usage(err error) error {
	if _, ok := errors.AsType[*fleet.Problem](err); ok {
		return err
	}
	return &fleet.Problem{Message: err.Error(), Exit: fleet.ExitUsage}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
