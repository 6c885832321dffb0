package modules

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

func serviceFamily() map[string]Function {
	const whose = "\nname\n  service."
	ask := func(doc string, run func(context.Context, manager, string) (any, error)) Function {
		return Function{Doc: doc, Params: []string{"name", "sig"}, Run: withManager(run)}
	}
	order := func(doc, verb string) Function {
		return Function{Doc: doc, Params: []string{"name", "no_block"}, Changes: true, Run: withManager(func(ctx context.Context, m manager, name string) (any, error) {
			return m.order(ctx, verb, name)
		})}
	}
	return map[string]Function{
		"service.status":    ask("Whether a service runs."+whose+"status ssh", func(ctx context.Context, m manager, name string) (any, error) { return m.ok(ctx, "status", name), nil }),
		"service.available": ask("Whether there is a service of that name."+whose+"available ssh", func(ctx context.Context, m manager, name string) (any, error) { return m.available(ctx, name), nil }),
		"service.missing":   ask("Whether there is no service of that name."+whose+"missing ssh", func(ctx context.Context, m manager, name string) (any, error) { return !m.available(ctx, name), nil }),
		"service.enabled":   ask("Whether a service starts with this host."+whose+"enabled ssh", func(ctx context.Context, m manager, name string) (any, error) { return m.enabled(ctx, name), nil }),
		"service.disabled":  ask("Whether a service does not start with this host."+whose+"disabled ssh", func(ctx context.Context, m manager, name string) (any, error) { return !m.enabled(ctx, name), nil }),
		"service.start":     order("Start a service."+whose+"start ssh", "start"),
		"service.stop":      order("Stop a service."+whose+"stop ssh", "stop"),
		"service.restart":   order("Restart a service."+whose+"restart ssh", "restart"),
		"service.reload":    order("Let a service read its configuration again."+whose+"reload ssh", "reload"),
		"service.enable":    order("Let a service start with this host."+whose+"enable ssh", "enable"),
		"service.disable":   order("Let a service not start with this host."+whose+"disable ssh", "disable"),
		"service.get_all": {
			Doc: "The names of all services.\n  service.get_all",
			Run: func(ctx context.Context, _ *Env, _ *data.Map) (any, error) { return whoHasServices().all(ctx) },
		},
	}
}

// manager is what has the services of this host: systemd, or the scripts in /etc/init.d.
type manager struct{ systemd bool }

func whoHasServices() manager {
	_, err := os.Stat("/run/systemd/system")
	return manager{systemd: err == nil}
}

func withManager(run func(context.Context, manager, string) (any, error)) func(context.Context, *Env, *data.Map) (any, error) {
	return func(ctx context.Context, _ *Env, args *data.Map) (any, error) {
		name, err := textArg(args, "name")
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(name, "/ \t\n") || strings.HasPrefix(name, "-") {
			return nil, fmt.Errorf("%w: %q is no name of a service", ErrArguments, name)
		}
		return run(ctx, whoHasServices(), name)
	}
}

func (m manager) command(verb, name string) []string {
	switch {
	case m.systemd && verb == "status":
		return []string{"systemctl", "is-active", "--quiet", name}
	case m.systemd:
		return []string{"systemctl", verb, name}
	case verb == "enable":
		return []string{"update-rc.d", name, "defaults"}
	case verb == "disable":
		return []string{"update-rc.d", name, "disable"}
	default:
		return []string{filepath.Join("/etc/init.d", name), verb}
	}
}

func (m manager) ok(ctx context.Context, verb, name string) bool {
	out, err := Command{Args: m.command(verb, name), Merge: true}.Run(ctx)
	return err == nil && out.Code == 0
}

func (m manager) order(ctx context.Context, verb, name string) (any, error) {
	out, err := Command{Args: m.command(verb, name), Merge: true}.Run(ctx)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("%s %s: exit code %d: %s", verb, name, out.Code, out.Stdout)
	}
	return err == nil, err
}

func (m manager) available(ctx context.Context, name string) bool {
	if !m.systemd {
		info, err := os.Stat(filepath.Join("/etc/init.d", name))
		return err == nil && info.Mode()&0o111 != 0
	}
	out, err := Command{Args: []string{"systemctl", "show", "--property=LoadState", "--value", name}}.Run(ctx)
	return err == nil && out.Code == 0 && strings.TrimSpace(out.Stdout) != "not-found"
}

func (m manager) enabled(ctx context.Context, name string) bool {
	if m.systemd {
		return m.ok(ctx, "is-enabled", name)
	}
	links, err := filepath.Glob("/etc/rc[2-5].d/S[0-9][0-9]" + name)
	return err == nil && len(links) > 0
}

func (m manager) all(ctx context.Context) (any, error) {
	var names []string
	if m.systemd {
		out, err := Command{Args: []string{"systemctl", "list-unit-files", "--type=service", "--no-legend", "--no-pager", "--plain"}}.Run(ctx)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out.Stdout) {
			if fields := strings.Fields(line); len(fields) > 0 {
				names = append(names, strings.TrimSuffix(fields[0], ".service"))
			}
		}
	} else {
		scripts, err := filepath.Glob("/etc/init.d/*")
		if err != nil {
			return nil, err
		}
		for _, s := range scripts {
			names = append(names, filepath.Base(s))
		}
	}
	slices.Sort(names)
	return list(slices.Compact(names)), nil
}
