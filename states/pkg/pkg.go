// Package pkg installs and removes packages: Salt's pkg states, over apt, dnf (or yum) or apk.
package pkg

import (
	"context"

	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// spec is one package to install.
type spec struct {
	name    string
	version string // empty: any; may begin with an operator, or hold wildcards
	file    string // where the package itself is, of sources
}

// request says how to install.
type request struct {
	specs           []spec
	repo            string
	recommends      any // nil, true or false
	skipVerify      bool
	onlyUpgrade     bool
	reinstall, down bool
}

// packager is one kind of package manager.
type packager interface {
	// installed gives the versions of all packages that are installed; what is provided only has the version "1".
	installed(ctx context.Context) (map[string]string, error)
	// candidates gives the versions that could be installed, "" where there is none.
	candidates(ctx context.Context, names []string, repo string) (map[string]string, error)
	compare(ctx context.Context, one, two string) int
	refresh(ctx context.Context) error
	install(ctx context.Context, r request) error
	remove(ctx context.Context, names []string, purge bool) error
	upgradable(ctx context.Context) ([]string, error)
	upgrade(ctx context.Context, dist bool) error
	held(ctx context.Context) (map[string]bool, error)
	hold(ctx context.Context, names []string, on bool) error
}

// find gives the host's package manager; nil when there is none that is known.
func find(c *state.Call) packager {
	host := tool.On(c)
	switch {
	case host.Has("apt-get") && host.Has("dpkg-query"):
		return apt{host}
	case host.Has("dnf"):
		return dnf{host, "dnf"}
	case host.Has("yum"):
		return dnf{host, "yum"}
	case host.Has("apk"):
		return apk{host}
	}
	return nil
}

// States are the functions of the family.
func States() state.Family {
	install := []string{
		"version", "refresh", "fromrepo", "skip_verify", "skip_suggestions", "pkgs", "sources", "allow_updates", "pkg_verify", "normalize", "ignore_epoch",
		"reinstall", "update_holds", "hold", "install_recommends", "only_upgrade", "cache_valid_time", "allow_downgrades", "force_conf_new",
		"resolve_capabilities", "upgrade", "watch_flags", "debconf", "enablerepo", "disablerepo", "dist_upgrade",
	}
	remove := []string{"version", "pkgs", "normalize", "ignore_epoch", "purge"}
	return state.Family{
		"installed": {
			Doc: "Installs packages, at given versions (exact, with wildcards, or after >=, <=, >, <, =) where one is asked for. " +
				"sources are files of packages, hold keeps them at their versions.",
			Params: install, Run: installed,
		},
		"latest":  {Doc: "Installs packages, and newer versions when there are.", Params: install, Run: latest},
		"removed": {Doc: "Removes packages; their configuration stays.", Params: remove, Run: removal(false)},
		"purged":  {Doc: "Removes packages with their configuration.", Params: remove, Run: removal(true)},
		"uptodate": {
			Doc:    "Upgrades all packages that can be, or those of pkgs.",
			Params: []string{"refresh", "pkgs", "dist_upgrade", "fromrepo", "skip_verify", "cache_valid_time"}, Run: uptodate,
		},
	}
}
