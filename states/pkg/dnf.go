package pkg

import (
	"context"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/states/tool"
)

// dnf is dnf, or yum, with rpm.
type dnf struct {
	host    tool.Host
	program string
}

func (p dnf) installed(ctx context.Context) (map[string]string, error) {
	out := p.host.Run(ctx, "", "rpm", "-qa", "--queryformat", `%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n`)
	if !out.OK() {
		return nil, fmt.Errorf("rpm: %s", out.Said())
	}
	have := map[string]string{}
	for line := range strings.Lines(out.Stdout) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 4 {
			continue
		}
		version := f[2]
		if f[1] != "0" {
			version = f[1] + ":" + version
		}
		have[f[0]], have[f[0]+"."+f[3]] = version, version
	}
	return have, nil
}

func (p dnf) options(repo string) []string {
	if repo == "" {
		return nil
	}
	return []string{"--disablerepo=*", "--enablerepo=" + repo}
}

func (p dnf) candidates(ctx context.Context, names []string, repo string) (map[string]string, error) {
	argv := append([]string{"-q"}, p.options(repo)...)
	argv = append(argv, "repoquery", "--latest-limit=1", "--queryformat", "%{name}\t%{epoch}\t%{version}-%{release}\n", "--")
	out := p.host.Run(ctx, "", p.program, append(argv, names...)...)
	if !out.OK() {
		return nil, fmt.Errorf("%s repoquery: %s", p.program, out.Said())
	}
	found := map[string]string{}
	for line := range strings.Lines(out.Stdout) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 {
			continue
		}
		if found[f[0]] = f[2]; f[1] != "0" && f[1] != "" {
			found[f[0]] = f[1] + ":" + f[2]
		}
	}
	return found, nil
}

func (p dnf) compare(_ context.Context, one, two string) int { return compareRPM(one, two) }

func (p dnf) run(ctx context.Context, argv ...string) error {
	if out := p.host.Run(ctx, "", p.program, append([]string{"-q", "-y"}, argv...)...); !out.OK() {
		return fmt.Errorf("%s: %s", p.program, out.Said())
	}
	return nil
}

func (p dnf) refresh(ctx context.Context) error { return p.run(ctx, "makecache") }

func (p dnf) install(ctx context.Context, r request) error {
	action := "install"
	switch {
	case r.onlyUpgrade:
		action = "upgrade"
	case r.reinstall:
		action = "reinstall"
	}
	argv := p.options(r.repo)
	if r.skipVerify {
		argv = append(argv, "--nogpgcheck")
	}
	if r.recommends == false {
		argv = append(argv, "--setopt=install_weak_deps=False")
	}
	argv = append(argv, action, "--")
	for _, one := range r.specs {
		switch {
		case one.file != "":
			argv = append(argv, one.file)
		case one.version != "":
			argv = append(argv, one.name+"-"+one.version)
		default:
			argv = append(argv, one.name)
		}
	}
	return p.run(ctx, argv...)
}

func (p dnf) remove(ctx context.Context, names []string, _ bool) error {
	return p.run(ctx, append([]string{"remove", "--"}, names...)...)
}

func (p dnf) upgradable(ctx context.Context) ([]string, error) {
	out := p.host.Run(ctx, "", p.program, "-q", "check-update")
	const some = 100
	if out.Code != 0 && out.Code != some {
		return nil, fmt.Errorf("%s check-update: %s", p.program, out.Said())
	}
	var list []string
	for line := range strings.Lines(out.Stdout) {
		if f := strings.Fields(line); len(f) == 3 && !strings.HasPrefix(line, " ") {
			name := f[0]
			if dot := strings.LastIndexByte(name, '.'); dot > 0 {
				name = name[:dot]
			}
			list = append(list, name)
		}
	}
	return list, nil
}

func (p dnf) upgrade(ctx context.Context, _ bool) error { return p.run(ctx, "upgrade") }

func (p dnf) held(ctx context.Context) (map[string]bool, error) {
	out := p.host.Run(ctx, "", p.program, "-q", "versionlock", "list")
	if !out.OK() {
		return nil, fmt.Errorf("%s versionlock (hold needs its plugin): %s", p.program, out.Said())
	}
	have, err := p.installed(ctx)
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for name := range have {
		if strings.Contains(out.Stdout, name+"-") {
			held[name] = true
		}
	}
	return held, nil
}

func (p dnf) hold(ctx context.Context, names []string, on bool) error {
	action := "add"
	if !on {
		action = "delete"
	}
	return p.run(ctx, append([]string{"versionlock", action}, names...)...)
}

// compareRPM compares versions as rpm does: epoch, then runs of digits and of letters; a tilde sorts before everything.
func compareRPM(one, two string) int {
	epoch := func(s string) (string, string) {
		if e, rest, ok := strings.Cut(s, ":"); ok {
			return e, rest
		}
		return "0", s
	}
	e1, v1 := epoch(one)
	e2, v2 := epoch(two)
	if c := segments(e1, e2); c != 0 {
		return c
	}
	a, ra, hasA := strings.Cut(v1, "-")
	b, rb, hasB := strings.Cut(v2, "-")
	if c := segments(a, b); c != 0 || !hasA || !hasB {
		return c
	}
	return segments(ra, rb)
}

func segments(a, b string) int {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	isAlpha := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	skip := func(s string) string {
		for s != "" && !isDigit(s[0]) && !isAlpha(s[0]) && s[0] != '~' && s[0] != '^' {
			s = s[1:]
		}
		return s
	}
	for {
		a, b = skip(a), skip(b)
		if c, done := marks(&a, &b); done {
			return c
		}
		if a == "" || b == "" {
			break
		}
		if a[0] == '~' || a[0] == '^' { // the same mark in both
			a, b = a[1:], b[1:]
			continue
		}
		kind := isAlpha
		if isDigit(a[0]) {
			kind = isDigit
		}
		n, m := 0, 0
		for n < len(a) && kind(a[n]) {
			n++
		}
		for m < len(b) && kind(b[m]) {
			m++
		}
		if m == 0 { // digits are newer than letters
			if isDigit(a[0]) {
				return 1
			}
			return -1
		}
		x, y := a[:n], b[:m]
		if isDigit(a[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return sign(len(x) - len(y))
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
	return sign(len(a) - len(b))
}

// marks decides by a tilde, which is older than nothing, or a caret, which is newer than nothing.
func marks(a, b *string) (int, bool) {
	tilde := func(s string) bool { return strings.HasPrefix(s, "~") }
	caret := func(s string) bool { return strings.HasPrefix(s, "^") }
	switch {
	case tilde(*a) && !tilde(*b):
		return -1, true
	case tilde(*b) && !tilde(*a):
		return 1, true
	case caret(*a) && !caret(*b):
		if *b == "" {
			return 1, true
		}
		return -1, true
	case caret(*b) && !caret(*a):
		if *a == "" {
			return -1, true
		}
		return 1, true
	}
	return 0, false
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
