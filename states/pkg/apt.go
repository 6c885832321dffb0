package pkg

import (
	"context"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/states/tool"
)

// apt is apt-get with dpkg.
type apt struct{ host tool.Host }

func (p apt) query(ctx context.Context, keep func(state string) bool) (map[string]string, error) {
	out := p.host.Run(ctx, "", "dpkg-query", "--showformat", "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Provides}\n", "-W")
	if !out.OK() && out.Stdout == "" && !strings.Contains(out.Stderr, "no packages found") {
		return nil, fmt.Errorf("dpkg-query: %s", out.Said())
	}
	have, also := map[string]string{}, map[string]bool{}
	for line := range strings.Lines(out.Stdout) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) < 5 || !keep(f[0]) {
			continue
		}
		have[f[1]] = f[2]
		have[f[1]+":"+f[3]] = f[2]
		for one := range strings.SplitSeq(f[4], ",") {
			if name, _, _ := strings.Cut(strings.TrimSpace(one), " "); name != "" {
				also[name] = true
			}
		}
	}
	for name := range also {
		if have[name] == "" {
			have[name] = provided
		}
	}
	return have, nil
}

func (p apt) installed(ctx context.Context) (map[string]string, error) {
	return p.query(ctx, func(state string) bool { return state == "installed" })
}

// configured are packages that were removed but not purged.
func (p apt) configured(ctx context.Context) map[string]string {
	have, err := p.query(ctx, func(state string) bool { return state == "config-files" })
	if err != nil {
		return nil
	}
	return have
}

func (p apt) candidates(ctx context.Context, names []string, repo string) (map[string]string, error) {
	argv := []string{"-q", "policy"}
	if repo != "" {
		argv = []string{"-q", "-t", repo, "policy"}
	}
	out := p.host.Run(ctx, "", "apt-cache", append(append(argv, "--"), names...)...)
	if !out.OK() {
		return nil, fmt.Errorf("apt-cache policy: %s", out.Said())
	}
	found := map[string]string{}
	name := ""
	for line := range strings.Lines(out.Stdout) {
		if !strings.HasPrefix(line, " ") {
			name = strings.TrimSuffix(strings.TrimSpace(line), ":")
			continue
		}
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && version != "(none)" {
			found[name] = version
		}
	}
	return found, nil
}

func (p apt) compare(ctx context.Context, one, two string) int {
	switch {
	case one == two:
		return 0
	case p.host.Run(ctx, "", "dpkg", "--compare-versions", one, "lt", two).OK():
		return -1
	case p.host.Run(ctx, "", "dpkg", "--compare-versions", one, "gt", two).OK():
		return 1
	}
	return 0
}

// run runs apt-get such that it asks nobody anything, and keeps configuration that was changed by hand.
func (p apt) run(ctx context.Context, argv ...string) error {
	cmd := p.host.Cmd(ctx, "apt-get", append([]string{"-q", "-y", "-o", "DPkg::Options::=--force-confold", "-o", "DPkg::Options::=--force-confdef"}, argv...)...)
	cmd.Env = append(cmd.Env, "DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "APT_LISTBUGS_FRONTEND=none", "UCF_FORCE_CONFFOLD=1")
	if out := tool.Finish(cmd); !out.OK() {
		return fmt.Errorf("apt-get: %s", out.Said())
	}
	return nil
}

func (p apt) refresh(ctx context.Context) error {
	if out := p.host.Run(ctx, "", "apt-get", "-q", "update"); !out.OK() {
		return fmt.Errorf("apt-get update: %s", out.Said())
	}
	return nil
}

func (p apt) install(ctx context.Context, r request) error {
	var argv []string
	if r.repo != "" {
		argv = append(argv, "-t", r.repo)
	}
	if r.skipVerify {
		argv = append(argv, "--allow-unauthenticated")
	}
	switch r.recommends {
	case true:
		argv = append(argv, "--install-recommends")
	case false:
		argv = append(argv, "--no-install-recommends")
	}
	if r.onlyUpgrade {
		argv = append(argv, "--only-upgrade")
	}
	if r.reinstall {
		argv = append(argv, "--reinstall")
	}
	exact := false
	var what []string
	for _, one := range r.specs {
		switch {
		case one.file != "":
			what = append(what, one.file)
		case one.version != "":
			what = append(what, one.name+"="+one.version)
			exact = true
		default:
			what = append(what, one.name)
		}
	}
	if exact && r.down {
		argv = append(argv, "--allow-downgrades")
	}
	return p.run(ctx, append(append(append(argv, "install"), "--"), what...)...)
}

func (p apt) remove(ctx context.Context, names []string, purge bool) error {
	action := "remove"
	if purge {
		action = "purge"
	}
	return p.run(ctx, append([]string{action, "--"}, names...)...)
}

func (p apt) upgradable(ctx context.Context) ([]string, error) {
	out := p.host.Run(ctx, "", "apt-get", "--just-print", "dist-upgrade")
	if !out.OK() {
		return nil, fmt.Errorf("apt-get: %s", out.Said())
	}
	var list []string
	for line := range strings.Lines(out.Stdout) {
		if rest, ok := strings.CutPrefix(line, "Inst "); ok {
			list = append(list, strings.Fields(rest)[0])
		}
	}
	return list, nil
}

func (p apt) upgrade(ctx context.Context, dist bool) error {
	if dist {
		return p.run(ctx, "dist-upgrade")
	}
	return p.run(ctx, "upgrade")
}

func (p apt) held(ctx context.Context) (map[string]bool, error) {
	out := p.host.Run(ctx, "", "apt-mark", "showhold")
	if !out.OK() {
		return nil, fmt.Errorf("apt-mark showhold: %s", out.Said())
	}
	held := map[string]bool{}
	for name := range strings.FieldsSeq(out.Stdout) {
		held[name] = true
	}
	return held, nil
}

func (p apt) hold(ctx context.Context, names []string, on bool) error {
	action := "hold"
	if !on {
		action = "unhold"
	}
	if out := p.host.Run(ctx, "", "apt-mark", append([]string{action}, names...)...); !out.OK() {
		return fmt.Errorf("apt-mark %s: %s", action, out.Said())
	}
	return nil
}
