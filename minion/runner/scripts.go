package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const defaultHooks = "hooks"

// scripts holds what a release runs at each event, in order.
type scripts map[fleet.LifecycleEvent][]script

type script struct {
	name    string // relative to the release
	timeout time.Duration
	user    process.Account
}

// readScripts finds and checks the scripts of a release: those of its appspec.yml first, then <hooks>/<group>/<Event>[.sh].
// notes are for people. Everything that can be wrong before a script runs is wrong here.
func readScripts(tree *os.Root, rec *record, order fleet.ReleaseOrder) (found scripts, notes []string, err error) {
	found = scripts{}
	if notes, err = found.addAppspec(tree, order); err != nil {
		return nil, nil, err
	}
	dir := path.Join(cmp.Or(rec.Hooks, defaultHooks), string(cmp.Or(rec.Group, order.Group)))
	if err := found.addHooks(tree, dir, order); err != nil {
		return nil, nil, err
	}
	return found, notes, nil
}

func (f scripts) addAppspec(tree *os.Root, order fleet.ReleaseOrder) ([]string, error) {
	spec, err := appspec.Load(tree.FS())
	if err != nil {
		return nil, err
	}
	for _, event := range appspec.Scripted() {
		for _, s := range spec.Hooks[event] {
			user, err := process.Lookup(userOf(s, order))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Pos, err)
			}
			f[event] = append(f[event], script{name: s.Location, timeout: s.Timeout, user: user})
		}
	}
	if order.Layout == "appspec" {
		return spec.Notes, nil
	}
	return append(spec.Notes, spec.Unread(cmp.Or(order.Layout, layouts()[0]))...), nil
}

func userOf(s appspec.Script, order fleet.ReleaseOrder) string {
	if s.RunAs == "" && s.Sudo {
		return "root"
	}
	return cmp.Or(s.RunAs, order.RunAs)
}

func (f scripts) addHooks(tree *os.Root, dir string, order fleet.ReleaseOrder) error {
	user, err := process.Lookup(order.RunAs)
	if err != nil {
		return fmt.Errorf("group %s: %w", order.Group, err)
	}
	for _, event := range appspec.Scripted() {
		var names []string
		for _, name := range []string{path.Join(dir, string(event)), path.Join(dir, string(event)+".sh")} {
			if info, err := tree.Stat(name); err == nil && !info.IsDir() {
				names = append(names, name)
			}
		}
		if len(names) > 1 {
			return fmt.Errorf("both %s and %s are there: keep one of them", names[0], names[1])
		}
		for _, name := range names {
			if err := appspec.CheckScript(tree.FS(), name); err != nil {
				return err
			}
			f[event] = append(f[event], script{name: name, timeout: appspec.DefaultTimeout, user: user})
		}
	}
	return nil
}

// scriptsOf reads a release's scripts once.
func (d *deploy) scriptsOf(rec *record) (scripts, error) {
	if known, ok := d.scripts[rec.ID]; ok {
		return known, nil
	}
	tree, err := d.site.root.OpenRoot(d.site.tree(rec.ID))
	if err != nil {
		return nil, fmt.Errorf("open release %s: %w", rec.ID, err)
	}
	defer tree.Close()
	found, _, err := readScripts(tree, rec, d.order)
	if err != nil {
		return nil, err
	}
	d.remember(rec, found)
	return found, nil
}

func (d *deploy) remember(rec *record, found scripts) {
	if d.scripts == nil {
		d.scripts = map[string]scripts{}
	}
	d.scripts[rec.ID] = found
}

// runEvents runs the scripts of some events until one fails.
func (d *deploy) runEvents(ctx context.Context, rec *record, revert bool, events ...fleet.LifecycleEvent) error {
	found, err := d.scriptsOf(rec)
	if err != nil {
		return err
	}
	for _, event := range events {
		for _, s := range found[event] {
			err := d.event(fleet.EventResult{Event: event, Script: s.name, Revert: revert}, func(e *fleet.EventResult) error {
				return d.runScript(ctx, rec, s, e)
			})
			if err != nil {
				return fmt.Errorf("%s: %w", event, err)
			}
		}
	}
	return nil
}

func (d *deploy) runScript(ctx context.Context, rec *record, s script, e *fleet.EventResult) error {
	tree, err := d.site.root.OpenRoot(d.site.tree(rec.ID))
	if err != nil {
		return fmt.Errorf("open release %s: %w", rec.ID, err)
	}
	defer tree.Close()
	if err := makeExecutable(tree, s.name); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), ErrLeft) {
		return ErrLeft
	}
	dir := d.layout.workDir(d, rec, e.Event)
	log, err := d.r.logFile(d.j.Job, d.number, e.Event)
	if err != nil {
		return err
	}
	spec := process.Spec{
		Name:    s.name,
		Path:    filepath.Join(d.site.path(rec), filepath.FromSlash(s.name)),
		Dir:     dir,
		Env:     d.environment(rec, e.Event, s.user, d.mark(d.number)),
		Mark:    d.mark(d.number),
		User:    s.user,
		Timeout: s.timeout,
		Grace:   d.r.cfg.Grace,
		Log:     log,
		Stamp:   process.StampLayout,
		Tail:    fleet.TailBytes,
		Secrets: d.secrets(),
	}
	run := d.r.superviseDir(d.j.Job, d.number, e.Event)
	res, err := process.Await(ctx, run, spec) // a dead minion may have started it
	if errors.Is(err, process.ErrNotStarted) {
		res, err = d.r.cfg.Supervisor.Run(ctx, run, spec)
	}
	e.ExitCode, e.Tail = res.ExitCode, res.Tail
	if d.r.cfg.Supervisor.Program == "" {
		return plain(err) // it has ended
	}
	return err
}

// secrets are the values that must not show up in what scripts say.
func (d *deploy) secrets() []string {
	var out []string
	for _, name := range d.order.Secrets {
		out = append(out, d.order.Env[name])
	}
	return out
}

// superviseDir is where a script's supervisor has its state.
func (r *Runner) superviseDir(job fleet.JobID, number int, event fleet.LifecycleEvent) string {
	return filepath.Join(r.cfg.StateDir, "logs", string(job), fmt.Sprintf("%02d-%s.run", number, event))
}

// logFile names the file that takes a script's output, in a directory that exists.
func (r *Runner) logFile(job fleet.JobID, number int, event fleet.LifecycleEvent) (string, error) {
	dir := path.Join("logs", string(job))
	if err := r.state.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make log: %w", err)
	}
	return filepath.Join(r.cfg.StateDir, dir, fmt.Sprintf("%02d-%s.log", number, event)), nil
}

// makeExecutable does what the agent does with a script that is not.
func makeExecutable(tree *os.Root, name string) error {
	info, err := tree.Stat(name)
	if err != nil {
		return fmt.Errorf("script does not exist: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o111 == 0 {
		if err := tree.Chmod(name, mode|0o111); err != nil {
			return fmt.Errorf("unable to set script at specified location: %s as executable: %w", name, err)
		}
	}
	return nil
}

// mark is in the environment of one script and of all that it starts, so that a successor finds them. The state
// directory is part of it: several minions may live on this host.
func (d *deploy) mark(number int) string {
	return fmt.Sprintf("BRINE_HOOK=%s#%d", filepath.Join(d.r.cfg.StateDir, journalName(d.j.Job)), number)
}

// environment is all that a script sees: nothing of the minion's own. Later entries win over earlier ones.
func (d *deploy) environment(rec *record, event fleet.LifecycleEvent, user process.Account, mark string) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"HOME=" + user.Home, "USER=" + user.Name, "LOGNAME=" + user.Name,
	}
	for _, name := range slices.Sorted(maps.Keys(d.order.Env)) {
		env = append(env, name+"="+d.order.Env[name])
	}
	return append(env,
		"APPLICATION_NAME="+string(d.order.App),
		"DEPLOYMENT_ID="+string(d.order.Deployment),
		"DEPLOYMENT_GROUP_NAME="+string(d.order.Group),
		"LIFECYCLE_EVENT="+string(event),
		"BRINE_APP="+string(d.order.App),
		"BRINE_GROUP="+string(d.order.Group),
		"BRINE_DEPLOYMENT="+string(d.order.Deployment),
		"BRINE_EVENT="+string(event),
		"BRINE_REVISION="+string(rec.Digest),
		"BRINE_COMMIT="+rec.Origin.Commit,
		"BRINE_REF="+rec.Origin.Ref,
		"BRINE_RELEASE="+d.layout.workDir(d, rec, event),
		"BRINE_ROOT="+d.site.dir,
		"BRINE_MINION="+string(d.r.cfg.Minion),
		mark,
	)
}
