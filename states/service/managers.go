package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

var serviceName = regexp.MustCompile(`^[A-Za-z0-9_@][A-Za-z0-9_.@:\\+-]*$`)

func validName(name string) bool { return len(name) < 256 && serviceName.MatchString(name) }

// find gives what keeps this host's services; nil when nothing does, as in a container or while an image is made.
func find(c *state.Call) manager {
	host := tool.On(c)
	root := ""
	if v, ok := c.Host.Opts.Get("service_root"); ok { // for tests: where /run and /etc are
		root, _ = v.(string)
	}
	has := func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err == nil
	}
	ctl := host.Has("systemctl")
	switch {
	case has("/run/systemd/system") && ctl:
		return systemd{host}
	case ctl && (root == "" || has("/usr/bin/systemctl")):
		return nil // systemd is what this host will boot with, but not what runs now
	case has("/run/openrc") && host.Has("rc-service"):
		return openrc{host, root}
	case has("/etc/init.d"):
		return scripts{host, root}
	}
	return nil
}

func do(ctx context.Context, host tool.Host, name string, args ...string) error {
	if out := host.Run(ctx, "", name, args...); !out.OK() {
		return fmt.Errorf("%s %s: %s", name, strings.Join(args, " "), out.Said())
	}
	return nil
}

// systemd is systemctl.
type systemd struct{ host tool.Host }

func unit(name string) string {
	for _, end := range []string{".service", ".socket", ".target", ".timer", ".path", ".mount", ".slice", ".swap", ".device", ".scope", ".automount"} {
		if strings.HasSuffix(name, end) {
			return name
		}
	}
	return name + ".service"
}

func (s systemd) ask(ctx context.Context, args ...string) tool.Output {
	return s.host.Run(ctx, "", "systemctl", args...)
}

func (s systemd) known(ctx context.Context, name string) bool {
	out := s.ask(ctx, "show", "--property=LoadState", "--value", "--", unit(name))
	state := strings.TrimPrefix(strings.TrimSpace(out.Stdout), "LoadState=")
	return out.OK() && state != "not-found" && state != ""
}

func (s systemd) running(ctx context.Context, name string) bool {
	return s.ask(ctx, "is-active", "--quiet", "--", unit(name)).OK()
}

func (s systemd) enabled(ctx context.Context, name string) bool {
	out := s.ask(ctx, "is-enabled", "--", unit(name))
	return out.OK() && strings.TrimSpace(out.Stdout) != "indirect"
}

func (s systemd) masked(ctx context.Context, name string) bool {
	return strings.HasPrefix(strings.TrimSpace(s.ask(ctx, "is-enabled", "--", unit(name)).Stdout), "masked")
}

func (s systemd) act(ctx context.Context, action, name string) error {
	switch action {
	case "start", "restart", "reload", "enable": // files of units may just have changed
		if strings.TrimSpace(s.ask(ctx, "show", "--property=NeedDaemonReload", "--value", "--", unit(name)).Stdout) != "no" {
			if err := do(ctx, s.host, "systemctl", "daemon-reload"); err != nil {
				return err
			}
		}
	case "mask-runtime":
		return do(ctx, s.host, "systemctl", "mask", "--runtime", "--", unit(name))
	}
	return do(ctx, s.host, "systemctl", action, "--", unit(name))
}

// openrc is rc-service and rc-update.
type openrc struct {
	host tool.Host
	root string
}

func (o openrc) known(_ context.Context, name string) bool { return hasScript(o.root, name) }

func (o openrc) running(ctx context.Context, name string) bool {
	return o.host.Run(ctx, "", "rc-service", name, "status").OK()
}

func (o openrc) enabled(ctx context.Context, name string) bool {
	for line := range strings.Lines(o.host.Run(ctx, "", "rc-update", "show").Stdout) {
		service, level, _ := strings.Cut(line, "|")
		if strings.TrimSpace(service) == name && strings.TrimSpace(level) != "" {
			return true
		}
	}
	return false
}

func (o openrc) masked(context.Context, string) bool { return false }

func (o openrc) act(ctx context.Context, action, name string) error {
	switch action {
	case "enable":
		return do(ctx, o.host, "rc-update", "add", name)
	case "disable":
		return do(ctx, o.host, "rc-update", "delete", name)
	case "mask", "mask-runtime", "unmask":
		return fmt.Errorf("%s %s: only systemd can mask services", action, name)
	}
	return do(ctx, o.host, "rc-service", name, action)
}

// scripts are plain init scripts, by service(8) where the host has it.
type scripts struct {
	host tool.Host
	root string
}

func hasScript(root, name string) bool {
	info, err := os.Stat(filepath.Join(root, "/etc/init.d", filepath.Base(name)))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (s scripts) known(_ context.Context, name string) bool { return hasScript(s.root, name) }

func (s scripts) command(name, action string) (string, []string) {
	if s.host.Has("service") {
		return "service", []string{name, action}
	}
	return filepath.Join(s.root, "/etc/init.d", filepath.Base(name)), []string{action}
}

func (s scripts) running(ctx context.Context, name string) bool {
	program, argv := s.command(name, "status")
	return s.host.Run(ctx, "", program, argv...).OK()
}

func (s scripts) enabled(ctx context.Context, name string) bool {
	if s.host.Has("chkconfig") {
		return s.host.Run(ctx, "", "chkconfig", name).OK()
	}
	found, err := filepath.Glob(filepath.Join(s.root, "/etc/rc[2-5].d/S[0-9][0-9]"+name))
	return err == nil && len(found) > 0
}

func (s scripts) masked(context.Context, string) bool { return false }

func (s scripts) act(ctx context.Context, action, name string) error {
	switch action {
	case "mask", "mask-runtime", "unmask":
		return fmt.Errorf("%s %s: only systemd can mask services", action, name)
	case "enable", "disable":
		switch {
		case s.host.Has("update-rc.d"):
			if action == "enable" { // for scripts that were never linked
				if err := do(ctx, s.host, "update-rc.d", name, "defaults"); err != nil {
					return err
				}
			}
			return do(ctx, s.host, "update-rc.d", name, action)
		case s.host.Has("chkconfig"):
			return do(ctx, s.host, "chkconfig", name, map[string]string{"enable": "on", "disable": "off"}[action])
		}
		return fmt.Errorf("%s %s: neither update-rc.d nor chkconfig is here", action, name)
	}
	program, argv := s.command(name, action)
	return do(ctx, s.host, program, argv...)
}
