// Package states applies states to this host: it renders SLS files, compiles them (states/compile), calls them
// (states/run), and gives the functions state.apply, state.highstate, ... to whoever asks. Each family of states is a folder.
package states

import (
	"github.com/brine-deploy/brine/states/archive"
	"github.com/brine-deploy/brine/states/cmd"
	"github.com/brine-deploy/brine/states/cron"
	"github.com/brine-deploy/brine/states/deploy"
	"github.com/brine-deploy/brine/states/environ"
	"github.com/brine-deploy/brine/states/file"
	"github.com/brine-deploy/brine/states/git"
	"github.com/brine-deploy/brine/states/group"
	"github.com/brine-deploy/brine/states/host"
	"github.com/brine-deploy/brine/states/http"
	"github.com/brine-deploy/brine/states/module"
	"github.com/brine-deploy/brine/states/mount"
	"github.com/brine-deploy/brine/states/pkg"
	"github.com/brine-deploy/brine/states/pkgrepo"
	"github.com/brine-deploy/brine/states/service"
	sshauth "github.com/brine-deploy/brine/states/ssh_auth"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/sysctl"
	"github.com/brine-deploy/brine/states/test"
	"github.com/brine-deploy/brine/states/timezone"
	"github.com/brine-deploy/brine/states/user"
)

// All lists the families of states by their names.
func All() map[string]state.Family {
	return map[string]state.Family{
		"archive":  archive.States(),
		"cmd":      cmd.States(),
		"cron":     cron.States(),
		"deploy":   deploy.States(),
		"environ":  environ.States(),
		"file":     file.States(),
		"git":      git.States(),
		"group":    group.States(),
		"host":     host.States(),
		"http":     http.States(),
		"module":   module.States(),
		"mount":    mount.States(),
		"pkg":      pkg.States(),
		"pkgrepo":  pkgrepo.States(),
		"service":  service.States(),
		"ssh_auth": sshauth.States(),
		"sysctl":   sysctl.States(),
		"test":     test.States(),
		"timezone": timezone.States(),
		"user":     user.States(),
	}
}
