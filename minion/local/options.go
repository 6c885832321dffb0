package local

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/appspec"
	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// The agent's defaults, and its number of revisions that are kept, the current one included.
const (
	DefaultGroup     = "default-local-deployment-group"
	DefaultGroupName = "LocalFleet"
	DefaultStateDir  = "/var/lib/brine-minion/local"

	defaultApplication = "local"
	keptRevisions      = 5
)

// Options say what to deploy and how. Only Bundle is necessary.
type Options struct {
	Bundle      string // a directory or an archive
	Type        string // one of Types; told by the bundle when empty
	Application string
	Group       string // the id of the deployment group: groups know nothing of each other
	GroupName   string // for the scripts; Group when empty
	Events      []string
	Exists      string // as file_exists_behavior, any case; the appspec's own wins
	Appspec     string // path of the appspec in the bundle
	StateDir    string
	Umask       fs.FileMode
	Report      func(line string) // for people; may be nil
}

// Types lists the kinds of bundles.
func Types() []string {
	var out []string
	for _, kind := range archive.Kinds() {
		out = append(out, string(kind))
	}
	return out
}

// validate finds what is wrong with the options themselves, and fills in the defaults.
func (o *Options) validate() error {
	if o.Bundle == "" {
		return errors.New("the bundle is missing: give --bundle PATH")
	}
	info, err := os.Stat(o.Bundle)
	if err != nil {
		return fmt.Errorf("location %s is specified as a file or directory which does not exist: %w", o.Bundle, err)
	}
	if o.Bundle, err = filepath.Abs(o.Bundle); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if o.Type == "" {
		kind, err := archive.KindOf(o.Bundle)
		if err != nil {
			return err
		}
		o.Type = string(kind)
	}
	switch {
	case !slices.Contains(Types(), o.Type):
		return fmt.Errorf("type %s is not a valid type. Must be one of %s", o.Type, strings.Join(Types(), ","))
	case o.Type == "directory" && !info.IsDir():
		return fmt.Errorf("location %s is specified with type directory but it is a file", o.Bundle)
	case o.Type != "directory" && info.IsDir():
		return fmt.Errorf("location %s is specified as a compressed local file but it is a directory", o.Bundle)
	}
	o.Exists = strings.ToUpper(cmp.Or(o.Exists, string(appspec.Disallow)))
	if !appspec.Exists(o.Exists).Valid() {
		return fmt.Errorf("file exists behavior %s is not valid: it must be DISALLOW, OVERWRITE or RETAIN", o.Exists)
	}
	if o.Appspec != "" && !filepath.IsLocal(o.Appspec) {
		return fmt.Errorf("the appspec %s is not inside the bundle", o.Appspec)
	}
	if err := o.checkEvents(); err != nil {
		return err
	}
	return o.directoryHasAppspec()
}

// directoryHasAppspec is what the agent checks at once.
func (o *Options) directoryHasAppspec() error {
	if o.Type != "directory" {
		return nil
	}
	for _, name := range o.appspecs() {
		if _, err := os.Stat(filepath.Join(o.Bundle, name)); err == nil {
			return nil
		}
	}
	return said("Expecting appspec file at location %s but it is not found there: did not find an AppSpec file", filepath.Join(o.Bundle, o.appspecs()[0]))
}

func (o *Options) appspecs() []string {
	if o.Appspec != "" {
		return []string{o.Appspec}
	}
	return appspec.Names()
}

// usesOld lists the events whose scripts come from the revision that was installed last, until the new one is there.
func usesOld() []fleet.LifecycleEvent {
	return []fleet.LifecycleEvent{fleet.BeforeBlockTraffic, fleet.AfterBlockTraffic, fleet.ApplicationStop}
}

// checkEvents refuses an order in which an event would have no revision.
func (o *Options) checkEvents() error {
	download, install := slices.Index(o.Events, string(fleet.DownloadBundle)), slices.Index(o.Events, string(fleet.Install))
	for i, name := range o.Events {
		event := fleet.LifecycleEvent(name)
		if name == "" || strings.ContainsAny(name, " \t\n\x00") {
			return fmt.Errorf("%q is not the name of an event", name)
		}
		if i < download && !slices.Contains(usesOld(), event) {
			return said("The only events that can be specified before DownloadBundle are %s. Please fix the order of your specified events: %s",
				names(usesOld()), strings.Join(o.Events, ","))
		}
		before := append(usesOld(), fleet.DownloadBundle, fleet.BeforeInstall)
		if i < install && !slices.Contains(before, event) {
			return said("The only events that can be specified before Install are %s. Please fix the order of your specified events: %s",
				names(before), strings.Join(o.Events, ","))
		}
	}
	return nil
}

func names(events []fleet.LifecycleEvent) string {
	var list []string
	for _, e := range events {
		list = append(list, string(e))
	}
	return strings.Join(list, ",")
}

// order lists the events that happen. DownloadBundle and Install always do, first when nobody says when.
func (o *Options) order() []fleet.LifecycleEvent {
	if len(o.Events) == 0 {
		return slices.DeleteFunc(fleet.Lifecycle(), func(e fleet.LifecycleEvent) bool {
			return e == fleet.BlockTraffic || e == fleet.AllowTraffic
		})
	}
	var out []fleet.LifecycleEvent
	for _, e := range []fleet.LifecycleEvent{fleet.DownloadBundle, fleet.Install} {
		if !slices.Contains(o.Events, string(e)) {
			out = append(out, e)
		}
	}
	for _, e := range o.Events {
		out = append(out, fleet.LifecycleEvent(e))
	}
	return out
}

// custom lists the events that only these options know.
func (o *Options) custom() []fleet.LifecycleEvent {
	var out []fleet.LifecycleEvent
	for _, e := range o.Events {
		if !slices.Contains(fleet.Lifecycle(), fleet.LifecycleEvent(e)) {
			out = append(out, fleet.LifecycleEvent(e))
		}
	}
	return out
}
