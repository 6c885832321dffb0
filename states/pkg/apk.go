package pkg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/states/tool"
)

// apk is Alpine's package manager.
type apk struct{ host tool.Host }

// cutVersion splits NAME-VERSION-rN.
func cutVersion(text string) (name, version string) {
	end := len(text)
	for range 2 {
		at := strings.LastIndexByte(text[:end], '-')
		if at < 0 {
			return text, ""
		}
		end = at
	}
	return text[:end], text[end+1:]
}

func (p apk) installed(ctx context.Context) (map[string]string, error) {
	out := p.host.Run(ctx, "", "apk", "info", "-v")
	if !out.OK() {
		return nil, fmt.Errorf("apk info: %s", out.Said())
	}
	have := map[string]string{}
	for line := range strings.Lines(out.Stdout) {
		text, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, version := cutVersion(text); version != "" {
			have[name] = version
		}
	}
	return have, nil
}

func (p apk) candidates(ctx context.Context, names []string, _ string) (map[string]string, error) {
	out := p.host.Run(ctx, "", "apk", append([]string{"policy", "--"}, names...)...)
	if !out.OK() {
		return nil, fmt.Errorf("apk policy: %s", out.Said())
	}
	found := map[string]string{}
	name := ""
	for line := range strings.Lines(out.Stdout) {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasSuffix(trimmed, " policy:"):
			name = strings.TrimSuffix(trimmed, " policy:")
		case strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && strings.HasSuffix(trimmed, ":"):
			version := strings.TrimSuffix(trimmed, ":")
			if found[name] == "" || p.compare(ctx, found[name], version) < 0 {
				found[name] = version
			}
		}
	}
	return found, nil
}

func (p apk) compare(ctx context.Context, one, two string) int {
	switch strings.TrimSpace(p.host.Run(ctx, "", "apk", "version", "-t", one, two).Stdout) {
	case "<":
		return -1
	case ">":
		return 1
	}
	return 0
}

func (p apk) run(ctx context.Context, argv ...string) error {
	if out := p.host.Run(ctx, "", "apk", argv...); !out.OK() {
		return fmt.Errorf("apk %s: %s", argv[0], out.Said())
	}
	return nil
}

func (p apk) refresh(ctx context.Context) error { return p.run(ctx, "update") }

func (p apk) install(ctx context.Context, r request) error {
	argv := []string{"add"}
	if r.onlyUpgrade {
		argv = append(argv, "-u")
	}
	for _, one := range r.specs {
		if one.file != "" || r.skipVerify {
			argv = append(argv, "--allow-untrusted")
			break
		}
	}
	argv = append(argv, "--")
	for _, one := range r.specs {
		switch {
		case one.file != "":
			argv = append(argv, one.file)
		case one.version != "":
			argv = append(argv, one.name+"="+one.version)
		default:
			argv = append(argv, one.name)
		}
	}
	return p.run(ctx, argv...)
}

func (p apk) remove(ctx context.Context, names []string, purge bool) error {
	argv := []string{"del"}
	if purge {
		argv = append(argv, "--purge")
	}
	return p.run(ctx, append(append(argv, "--"), names...)...)
}

func (p apk) upgradable(ctx context.Context) ([]string, error) {
	out := p.host.Run(ctx, "", "apk", "version", "-l", "<")
	if !out.OK() {
		return nil, fmt.Errorf("apk version: %s", out.Said())
	}
	var list []string
	for line := range strings.Lines(out.Stdout) {
		if f := strings.Fields(line); len(f) >= 3 && f[1] == "<" {
			name, _ := cutVersion(f[0])
			list = append(list, name)
		}
	}
	return list, nil
}

func (p apk) upgrade(ctx context.Context, _ bool) error { return p.run(ctx, "upgrade") }

func (p apk) held(context.Context) (map[string]bool, error) { return map[string]bool{}, nil }

func (p apk) hold(context.Context, []string, bool) error {
	return errors.New("apk cannot hold packages; ask for their version")
}
