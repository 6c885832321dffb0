package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/minion/inplace"
	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Deploy deploys one bundle and tells what came of it. Deployments of one application and group wait for each other. When
// ctx ends, a script that runs is ended and the deployment fails.
func Deploy(ctx context.Context, o Options) Result {
	d := &deployment{options: o, result: Result{OK: true, Hooks: []string{}}}
	defer d.close()
	err := d.do(ctx)
	if d.log != nil {
		d.result.LogTail, d.result.LogFile = d.log.String(), d.log.file
	}
	if err == nil {
		d.tell("deployed %s", d.result.Deployment)
		return d.result
	}
	d.result.fail(err)
	for line := range strings.Lines(d.result.LogTail) {
		d.tell("  %s", strings.TrimSuffix(line, "\n"))
	}
	d.tell("failed: %v", err)
	if d.result.LogTail != "" {
		d.tell("log: %s", d.result.LogFile)
	}
	return d.result
}

type deployment struct {
	options    Options
	state      *state
	dir        string // what is kept of it
	log        *scriptLog
	old, next  *revision // old may be nil
	install    inplace.Installation
	downloaded bool // the event is over: the new revision's scripts run from now on
	result     Result
}

func (d *deployment) close() {
	d.old.close()
	d.next.close()
	if d.state != nil {
		d.state.close()
	}
}

func (d *deployment) tell(format string, args ...any) {
	if d.options.Report != nil {
		d.options.Report(fmt.Sprintf(format, args...))
	}
}

// do is the story of a deployment.
func (d *deployment) do(ctx context.Context) error {
	if err := d.options.validate(); err != nil {
		return in(Validate, err)
	}
	if err := d.begin(ctx); err != nil {
		return in(Validate, err)
	}
	if err := d.fetch(ctx); err != nil {
		return in(Download, err)
	}
	if err := d.parse(); err != nil {
		return in(Parse, err)
	}
	if err := d.check(); err != nil {
		return err
	}
	for _, event := range d.options.order() {
		if err := d.event(ctx, event); err != nil {
			return err
		}
	}
	return nil
}

// begin takes the group and makes a place for the deployment.
func (d *deployment) begin(ctx context.Context) (err error) {
	o := &d.options
	o.GroupName = cmp.Or(o.GroupName, o.Group, DefaultGroupName)
	o.Group = cmp.Or(o.Group, DefaultGroup)
	if o.StateDir, err = filepath.Abs(cmp.Or(o.StateDir, DefaultStateDir)); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if d.state, err = openState(ctx, *o); err != nil {
		return err
	}
	if d.state.endLeftover() {
		d.tell("note: a deployment before was killed; its script is ended")
	}
	o.Application = cmp.Or(o.Application, o.Bundle) // for the scripts, as the agent does
	d.install = inplace.Installation{File: filepath.Join(d.state.installs, "installed.json"), Umask: o.Umask}
	d.result.Deployment = newID()
	d.dir = d.state.dir(d.result.Deployment)
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		return fmt.Errorf("make deployment: %w", err)
	}
	d.log, err = newLog(d.dir)
	return err
}

func (d *deployment) fetch(ctx context.Context) error {
	if err := d.state.prune(d.result.Deployment); err != nil {
		return err
	}
	return fetch(ctx, d.options, d.dir)
}

// parse reads the new appspec, and that of the revision that was installed last. One whose directory was removed by hand has
// no scripts any more.
func (d *deployment) parse() (err error) {
	d.next, err = openRevision(filepath.Join(d.dir, archiveDir), d.options.appspecs(), d.options.custom())
	if err != nil {
		return err
	}
	for _, note := range d.next.spec.Notes {
		d.tell("note: %s", note)
	}
	for _, event := range d.options.custom() {
		if len(d.next.spec.Hooks[event]) == 0 {
			return said("You specified a lifecycle event which is not a default one and doesn't exist in your appspec.yml file: %s", event)
		}
	}
	if d.state.last.Deployment == "" {
		return nil
	}
	dir := filepath.Join(d.state.dir(d.state.last.Deployment), archiveDir)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		d.tell("note: the revision before is gone (%s): its scripts are not run", dir)
		return nil
	}
	d.old, err = openRevision(dir, []string{d.state.last.Appspec}, d.options.custom())
	if err != nil {
		return fmt.Errorf("the revision before (mend it, or remove %s): %w", dir, err)
	}
	return nil
}

// scripts returns what an event runs, and from where.
func (d *deployment) scripts(event fleet.LifecycleEvent, downloaded bool) (*revision, []appspec.Script) {
	rev := d.next
	if slices.Contains(usesOld(), event) && !downloaded {
		rev = d.old
	}
	if rev == nil || !slices.Contains(appspec.Scripted(), event) && !slices.Contains(d.options.custom(), event) {
		return nil, nil
	}
	return rev, rev.spec.Hooks[event]
}

// check finds what would fail later, as long as nothing can mend it before that.
func (d *deployment) check() error {
	if err := d.checkScripts(); err != nil {
		return err
	}
	if err := inplace.CheckRevision(d.next.spec, d.next.root); err != nil {
		return conflict(err)
	}
	if d.scriptsBeforeInstall() {
		return nil
	}
	if err := inplace.CheckPermissions(d.next.spec); err != nil {
		return in(Parse, err)
	}
	_, err := d.plan()
	return err
}

// checkScripts looks for scripts that are missing. One with which the deployment begins needs no check before: it fails at
// its own event, and nothing has happened.
func (d *deployment) checkScripts() error {
	begun, downloaded := false, false
	for _, event := range d.options.order() {
		switch event {
		case fleet.DownloadBundle:
			downloaded = true
		case fleet.Install:
			begun = begun || len(d.next.spec.Files) > 0
		}
		rev, scripts := d.scripts(event, downloaded)
		for _, s := range scripts {
			if _, err := rev.root.Stat(s.Location); err != nil && begun {
				return &failure{phase: Parse, event: event, script: s.Written, code: ScriptMissing, err: fmt.Errorf(
					"%s: Script does not exist at specified location: %s", s.Pos, s.Written)}
			}
			begun = true
		}
	}
	return nil
}

// scriptsBeforeInstall reports whether the new revision runs any: they may be about to clear the way, or to make a user.
func (d *deployment) scriptsBeforeInstall() bool {
	downloaded := false
	for _, event := range d.options.order() {
		if event == fleet.Install {
			return false
		}
		downloaded = downloaded || event == fleet.DownloadBundle
		if rev, scripts := d.scripts(event, downloaded); rev == d.next && len(scripts) > 0 {
			return true
		}
	}
	return false
}

func (d *deployment) plan() (*appspec.Plan, error) {
	exists := cmp.Or(d.next.spec.Exists, appspec.Exists(d.options.Exists))
	plan, err := d.install.Plan(d.next.spec, d.next.root, exists)
	if err != nil {
		return nil, conflict(err)
	}
	return plan, nil
}

// conflict is a failure of Install, whenever it is found.
func conflict(err error) error {
	return &failure{phase: Install, event: fleet.Install, code: UnknownError, err: err}
}

func (d *deployment) event(ctx context.Context, event fleet.LifecycleEvent) error {
	switch event {
	case fleet.DownloadBundle:
		d.downloaded = true
		return nil
	case fleet.Install:
		d.tell("%s", event)
		return d.installFiles(ctx)
	}
	rev, scripts := d.scripts(event, d.downloaded)
	if len(scripts) == 0 {
		return nil
	}
	if err := d.log.say("LifecycleEvent - " + string(event)); err != nil {
		return in(Hook, err)
	}
	for _, s := range scripts {
		started := time.Now()
		if err := d.run(ctx, rev, event, s); err != nil {
			return err
		}
		d.tell("%s: %s (%s)", event, s.Written, time.Since(started).Round(time.Millisecond))
	}
	return nil
}

// installFiles is the event Install. The revision counts as installed from its end on, whatever its scripts do later.
func (d *deployment) installFiles(ctx context.Context) error {
	if err := inplace.CheckPermissions(d.next.spec); err != nil {
		return conflict(err)
	}
	plan, err := d.plan()
	if err != nil {
		return err
	}
	if err := d.install.Run(ctx, plan, d.next.root); err != nil {
		return conflict(fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	if err := d.state.setLast(last{Deployment: d.result.Deployment, Appspec: d.next.appspec}); err != nil {
		return conflict(err)
	}
	return nil
}
