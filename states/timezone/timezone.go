// Package timezone sets the host's time zone: Salt's timezone states.
package timezone

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family { return family{etc: "/etc", zones: "/usr/share/zoneinfo"}.states() }

type family struct{ etc, zones string }

func (f family) states() state.Family {
	return state.Family{
		"system": {
			Doc:    "Makes a time zone (Europe/Berlin) the host's. utc tells how the hardware clock runs, and is not changed.",
			Params: []string{"utc"}, Run: f.system,
		},
	}
}

// current is the zone that the host has; empty when that is not known.
func (f family) current() string {
	if target, err := os.Readlink(filepath.Join(f.etc, "localtime")); err == nil {
		if _, zone, ok := strings.Cut(target, "zoneinfo/"); ok {
			return strings.TrimPrefix(strings.TrimPrefix(zone, "posix/"), "right/")
		}
	}
	text, err := conffile.Read(filepath.Join(f.etc, "timezone"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

func (f family) system(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	a.Bool("utc", true)
	zone := filepath.Join(f.zones, c.Name)
	if !filepath.IsLocal(c.Name) {
		a.Wrong("%q is no name of a time zone", c.Name)
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	if info, err := os.Stat(zone); err != nil || !info.Mode().IsRegular() {
		return args.Failed("Zone does not exist: %s (package tzdata has the zones)", zone)
	}
	old := f.current()
	if old == c.Name {
		return args.Fine("Timezone %s already set, UTC already set to true", c.Name)
	}
	changes := data.NewMap("timezone", c.Name)
	if c.Test {
		return args.Would(nil, "Timezone %s needs to be set", c.Name)
	}
	if err := renameio.Symlink(zone, filepath.Join(f.etc, "localtime")); err != nil {
		return args.Failed("Failed to set timezone %s: %v", c.Name, err)
	}
	if _, err := os.Stat(filepath.Join(f.etc, "timezone")); err == nil {
		if err := conffile.Write(filepath.Join(f.etc, "timezone"), c.Name+"\n"); err != nil {
			return args.Failed("%v", err)
		}
	}
	return args.Done(changes, "Set timezone %s", c.Name)
}
