// Package states applies states to this host: it renders SLS files, compiles them (states/compile), calls them
// (states/run), and gives the functions state.apply, state.highstate, ... to whoever asks. Each family of states is a folder.
package states

import (
	"github.com/brine-deploy/brine/states/archive"
	"github.com/brine-deploy/brine/states/cmd"
	"github.com/brine-deploy/brine/states/cron"
	"github.com/brine-deploy/brine/states/file"
	"github.com/brine-deploy/brine/states/group"
	"github.com/brine-deploy/brine/states/pkg"
	"github.com/brine-deploy/brine/states/service"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/test"
	"github.com/brine-deploy/brine/states/user"
)

// All lists the families of states by their names.
func All() map[string]state.Family {
	return map[string]state.Family{
		"archive": archive.States(),
		"cmd":     cmd.States(),
		"cron":    cron.States(),
		"file":    file.States(),
		"group":   group.States(),
		"pkg":     pkg.States(),
		"service": service.States(),
		"test":    test.States(),
		"user":    user.States(),
	}
}
