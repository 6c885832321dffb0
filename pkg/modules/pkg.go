package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

func pkgFamily() map[string]Function {
	return map[string]Function{
		"pkg.list_pkgs": {
			Doc: "The installed packages and their versions.\nversions_as_list\n  pkg.list_pkgs", Params: []string{"versions_as_list", "purge_desired", "removed"},
			Run: func(ctx context.Context, _ *Env, args *data.Map) (any, error) {
				all, err := installed(ctx)
				if err != nil || !flagArg(args, "versions_as_list", false) {
					return all, err
				}
				out := &data.Map{}
				for name, version := range all.All() {
					out.Set(name, []any{version})
				}
				return out, nil
			},
		},
		"pkg.version": {
			Doc: "The installed version of a package, empty when it is not installed; of several packages, by name.\nany number of names\n  pkg.version openssl", Params: []string{"*"},
			Run: func(ctx context.Context, _ *Env, args *data.Map) (any, error) {
				all, err := installed(ctx)
				if err != nil {
					return nil, err
				}
				names, out := texts(rest(args)), &data.Map{}
				for _, name := range names {
					out.Set(name, arg(all, name, ""))
				}
				if len(names) == 1 {
					return arg(out, names[0], ""), nil
				}
				return out, nil
			},
		},
		"pkg.version_cmp": {
			Doc: "-1, 0 or 1: whether the first version is less, the same, or more, as Debian orders them.\npkg1; pkg2\n  pkg.version_cmp 1.2-1 1.10", Params: []string{"pkg1", "pkg2", "ignore_epoch"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				a, err := textArg(args, "pkg1")
				if err != nil {
					return nil, err
				}
				b, err := textArg(args, "pkg2")
				return int64(compareVersions(a, b, flagArg(args, "ignore_epoch", false))), err
			},
		},
	}
}

// installed asks the package manager that this host has.
func installed(ctx context.Context) (*data.Map, error) {
	for _, m := range []struct {
		args []string
		line func(string) (name, version string)
	}{
		{[]string{"dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Version}\n"}, dpkgLine},
		{[]string{"apk", "info", "-v"}, apkLine},
		{[]string{"rpm", "-qa", "--qf", "%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n"}, rpmLine},
	} {
		if _, ok := which(m.args[0]); !ok {
			continue
		}
		out, err := Command{Args: m.args}.Run(ctx)
		if err == nil && out.Code != 0 {
			err = fmt.Errorf("list packages: %s: %s", m.args[0], out.Stderr)
		}
		all := &data.Map{}
		for line := range strings.Lines(out.Stdout) {
			if name, version := m.line(strings.TrimRight(line, "\n")); version != "" {
				all.Set(name, version)
			}
		}
		return all, err
	}
	if _, err := os.Stat("/var/lib/dpkg"); err != nil {
		return nil, errors.New("list packages: this host has neither dpkg, apk nor rpm")
	}
	return &data.Map{}, nil
}

func dpkgLine(line string) (name, version string) {
	if parts := strings.Split(line, "\t"); len(parts) == 3 && strings.HasPrefix(parts[0], "ii") {
		return parts[1], parts[2]
	}
	return "", ""
}

func rpmLine(line string) (name, version string) {
	name, version, _ = strings.Cut(line, "\t")
	return name, version
}

// apkLine takes name-1.2.3-r0 apart.
func apkLine(line string) (name, version string) {
	at := strings.LastIndex(line, "-")
	if at < 0 {
		return "", ""
	}
	if at = strings.LastIndex(line[:at], "-"); at < 0 {
		return "", ""
	}
	return line[:at], line[at+1:]
}

// compareVersions orders [EPOCH:]VERSION[-REVISION] as dpkg does.
func compareVersions(a, b string, ignoreEpoch bool) int {
	epochA, restA := epoch(a)
	epochB, restB := epoch(b)
	if c := compareParts(epochA, epochB); c != 0 && !ignoreEpoch {
		return c
	}
	upA, revA := revision(restA)
	upB, revB := revision(restB)
	return cmp.Or(compareParts(upA, upB), compareParts(revA, revB))
}

func epoch(v string) (number, rest string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		return e, rest
	}
	return "0", v
}

func revision(v string) (upstream, revision string) {
	if at := strings.LastIndex(v, "-"); at >= 0 {
		return v[:at], v[at+1:]
	}
	return v, ""
}

// compareParts compares what is no digit by character, and digits by number, in turn.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		var textA, textB string
		textA, a = take(a, false)
		textB, b = take(b, false)
		if c := compareText(textA, textB); c != 0 {
			return c
		}
		textA, a = take(a, true)
		textB, b = take(b, true)
		textA, textB = strings.TrimLeft(textA, "0"), strings.TrimLeft(textB, "0")
		if c := cmp.Or(cmp.Compare(len(textA), len(textB)), strings.Compare(textA, textB)); c != 0 {
			return c
		}
	}
	return 0
}

func take(s string, digits bool) (taken, rest string) {
	for i, r := range s {
		if (r >= '0' && r <= '9') != digits {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// compareText puts ~ before the end, the end before letters, and letters before the rest.
func compareText(a, b string) int {
	weight := func(s string, i int) int {
		switch {
		case i >= len(s):
			return 0
		case s[i] == '~':
			return -1
		case s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z':
			return int(s[i])
		default:
			return int(s[i]) + 256
		}
	}
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}
