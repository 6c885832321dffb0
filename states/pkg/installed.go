package pkg

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// call is one state and its package manager.
type call struct {
	c          *state.Call
	p          packager
	r          request
	several    bool // pkgs or sources were given
	refresh    any  // nil, true or false
	validTime  int64
	hold       any
	ignoreHold bool
	dist       bool
}

var (
	packageName    = regexp.MustCompile(`^[A-Za-z0-9@_][A-Za-z0-9+._:@*/~-]*$`)
	packageVersion = regexp.MustCompile(`^(==|>=|<=|>>|<<|!=|=|>|<)?\s*[A-Za-z0-9.+:~^*_?-]+$`)
)

func read(c *state.Call) (*call, state.Result, bool) {
	a := args.Of(c)
	s := &call{c: c, validTime: a.Int("cache_valid_time", 3600), ignoreHold: a.Bool("update_holds", false), dist: a.Bool("dist_upgrade", false)}
	s.r = request{
		repo: a.Text("fromrepo", ""), skipVerify: a.Bool("skip_verify", false), onlyUpgrade: a.Bool("only_upgrade", false),
		reinstall: a.Bool("reinstall", false), down: a.Bool("allow_downgrades", true),
	}
	if a.Has("install_recommends") {
		s.r.recommends = a.Bool("install_recommends", true)
	}
	if a.Has("refresh") {
		s.refresh = a.Bool("refresh", true)
	}
	if a.Has("hold") {
		s.hold = a.Bool("hold", false)
	}
	s.r.specs = packages(a, "pkgs", false)
	s.r.specs = append(s.r.specs, packages(a, "sources", true)...)
	s.several = a.Has("pkgs") || a.Has("sources")
	if !s.several {
		s.r.specs = []spec{{name: c.Name, version: a.Text("version", "")}}
	}
	for i, one := range s.r.specs {
		one.version = strings.TrimSpace(one.version)
		s.r.specs[i] = one
		if !packageName.MatchString(one.name) {
			a.Wrong("%q is no name of a package", one.name)
		}
		if one.version != "" && !packageVersion.MatchString(one.version) {
			a.Wrong("%q is no version of a package", one.version)
		}
	}
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	if s.p = find(c); s.p == nil {
		return nil, args.Failed("no package manager was found: apt, dnf, yum and apk are known"), true
	}
	return s, state.Result{}, false
}

// packages reads a list of names, and of mappings from names to versions, or to files.
func packages(a *args.Reader, param string, files bool) (specs []spec) {
	list, ok := a.Get(param).([]any)
	if !ok {
		if a.Has(param) {
			a.Wrong("%s: expected a list", param)
		}
		return nil
	}
	for _, one := range list {
		m, isMap := one.(*data.Map)
		if !isMap {
			if _, isList := one.([]any); isList || files {
				a.Wrong("%s: expected names with what they stand for, got %s", param, args.Text(one))
				continue
			}
			specs = append(specs, spec{name: args.Text(one)})
			continue
		}
		for k, v := range m.All() {
			s := spec{name: args.Text(k)}
			switch v.(type) {
			case nil:
			case *data.Map, []any:
				a.Wrong("%s: %s needs a text", param, s.name)
			default:
				if s.version = args.Text(v); files {
					s.file, s.version = s.version, ""
				}
			}
			specs = append(specs, s)
		}
	}
	return specs
}

// satisfied reports whether an installed version is what is wanted.
func (s *call) satisfied(ctx context.Context, have, want string) bool {
	if have == "" || want == "" || want == "latest" {
		return have != ""
	}
	op, version := "=", want
	for _, one := range []string{"==", ">=", "<=", ">>", "<<", "!=", "=", ">", "<"} {
		if rest, ok := strings.CutPrefix(want, one); ok {
			op, version = one, strings.TrimSpace(rest)
			break
		}
	}
	if !strings.Contains(version, ":") { // without an epoch any will do
		if _, rest, ok := strings.Cut(have, ":"); ok {
			have = rest
		}
	}
	if (op == "=" || op == "==") && strings.ContainsAny(version, "*?") {
		ok, err := path.Match(version, have)
		return err == nil && ok
	}
	cmp := s.p.compare(ctx, have, version)
	switch op {
	case ">=":
		return cmp >= 0
	case "<=":
		return cmp <= 0
	case ">", ">>":
		return cmp > 0
	case "<", "<<":
		return cmp < 0
	case "!=":
		return cmp != 0
	}
	return cmp == 0
}

func installed(ctx context.Context, c *state.Call) state.Result {
	s, res, bad := read(c)
	if bad {
		return res
	}
	if len(s.r.specs) == 0 {
		return args.Fine("No packages to install provided")
	}
	before, err := s.p.installed(ctx)
	if err != nil {
		return args.Failed("%v", err)
	}
	var todo []spec
	for _, one := range s.r.specs {
		if s.r.reinstall || !s.satisfied(ctx, before[one.name], one.version) {
			todo = append(todo, one)
		}
	}
	if c.Test && len(todo) > 0 {
		changes := data.NewMap()
		for _, one := range todo {
			version := one.version
			if version == "" {
				version = "installed"
			}
			changes.Set(one.name, data.NewMap("new", version, "old", before[one.name]))
		}
		return args.Would(changes, "The following packages would be installed/updated: %s", strings.Join(names(todo), ", "))
	}
	if len(todo) == 0 {
		return s.holds(ctx, args.Fine("All specified packages are already installed"), before)
	}
	if err := s.install(ctx, todo, before); err != nil {
		return args.Failed("An error was encountered while installing package(s): %v", err)
	}
	return s.outcome(ctx, todo, before)
}

// outcome compares what is installed now with what was, and with what should be.
func (s *call) outcome(ctx context.Context, todo []spec, before map[string]string) state.Result {
	after, err := s.p.installed(ctx)
	if err != nil {
		return args.Failed("%v", err)
	}
	changes := between(before, after)
	var good, failed []string
	for _, one := range todo {
		if s.satisfied(ctx, after[one.name], one.version) {
			good = append(good, one.name)
		} else {
			failed = append(failed, one.name)
		}
	}
	var b strings.Builder
	if len(good) > 0 {
		fmt.Fprintf(&b, "The following packages were installed/updated: %s", strings.Join(good, ", "))
	}
	if len(failed) > 0 {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "The following packages failed to install/update: %s", strings.Join(failed, ", "))
		return state.Result{Comment: b.String(), Changes: changes}
	}
	return s.holds(ctx, args.Done(changes, "%s", b.String()), after)
}

func between(before, after map[string]string) *data.Map {
	changes := data.NewMap()
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if before[name] != after[name] && after[name] != provided && before[name] != provided {
			changes.Set(name, data.NewMap("new", after[name], "old", before[name]))
		}
	}
	return changes
}

// provided is the version of what other packages provide.
const provided = "1 (provided)"

func names(specs []spec) []string {
	list := make([]string, len(specs))
	for i, one := range specs {
		list[i] = one.name
	}
	return list
}

// install refreshes, finds exact versions and fetches files, then installs.
func (s *call) install(ctx context.Context, todo []spec, before map[string]string) error {
	if err := s.fresh(ctx); err != nil {
		return err
	}
	r := s.r
	r.specs = slices.Clone(todo)
	for i, one := range r.specs {
		if one.file == "" {
			exact, err := s.exact(ctx, one)
			if err != nil {
				return err
			}
			r.specs[i].version = exact
			continue
		}
		file, done, err := s.fetch(ctx, one.file)
		if err != nil {
			return err
		}
		defer done()
		r.specs[i].file = file
	}
	if s.hold == false || s.ignoreHold {
		if err := s.unhold(ctx, names(todo)); err != nil {
			return err
		}
	}
	_ = before
	return s.p.install(ctx, r)
}

// exact makes an exact version of what was asked for: an operator or wildcards choose among what there is.
func (s *call) exact(ctx context.Context, one spec) (string, error) {
	version := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(one.version, "="), "="))
	if version == "" || version == "latest" {
		return "", nil
	}
	if !strings.ContainsAny(version, "<>!*?") {
		return version, nil
	}
	found, err := s.p.candidates(ctx, []string{one.name}, s.r.repo)
	if err != nil {
		return "", err
	}
	if candidate := found[one.name]; s.satisfied(ctx, candidate, one.version) {
		return candidate, nil
	}
	return "", fmt.Errorf("no version of %s is %s (there is %q)", one.name, one.version, found[one.name])
}

// stamp is touched when the lists of packages were fetched.
func (s *call) stamp() string { return filepath.Join(s.c.Host.Cache, "pkg_refresh") }

// fresh fetches the lists of packages: when asked to, or when nobody says and they are old.
func (s *call) fresh(ctx context.Context) error {
	if s.refresh == false {
		return nil
	}
	info, err := os.Stat(s.stamp())
	if s.refresh == nil && err == nil && time.Since(info.ModTime()) < time.Duration(s.validTime)*time.Second {
		return nil
	}
	if err := s.p.refresh(ctx); err != nil {
		return err
	}
	if s.c.Host.Cache != "" && os.MkdirAll(s.c.Host.Cache, 0o700) == nil {
		_ = os.WriteFile(s.stamp(), nil, 0o600) // without it the next one fetches again
	}
	return nil
}

// fetch puts a package's file where the package manager can read it.
func (s *call) fetch(ctx context.Context, source string) (string, func(), error) {
	if fetch.Scheme(source) == "file" {
		return fetch.LocalPath(source), func() {}, nil
	}
	blob, err := fetch.Get(ctx, s.c.Host, source, fetch.Sum{})
	if err != nil {
		return "", nil, err
	}
	defer blob.Close()
	dir, err := os.MkdirTemp("", "brine-pkg-*")
	if err != nil {
		return "", nil, fmt.Errorf("fetch package: %w", err)
	}
	done := func() { _ = os.RemoveAll(dir) }
	name, _, _ := strings.Cut(path.Base(source), "?")
	file := filepath.Join(dir, name)
	if err := blob.Save(file); err != nil {
		done()
		return "", nil, err
	}
	return file, done, nil
}

func (s *call) unhold(ctx context.Context, list []string) error {
	held, err := s.p.held(ctx)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(n string) bool { return !held[n] })
	if len(list) == 0 {
		return nil
	}
	return s.p.hold(ctx, list, false)
}

// holds sees to hold, and adds what it did to a result.
func (s *call) holds(ctx context.Context, res state.Result, have map[string]string) state.Result {
	want, asked := s.hold.(bool)
	if !asked {
		return res
	}
	held, err := s.p.held(ctx)
	if err != nil {
		return args.Failed("%s\n%v", res.Comment, err)
	}
	list := slices.DeleteFunc(names(s.r.specs), func(n string) bool { return held[n] == want || have[n] == "" })
	if len(list) == 0 {
		return res
	}
	words := "being held"
	if !want {
		words = "no longer being held"
	}
	if s.c.Test {
		return args.Would(res.Changes, "%s\nThe following packages would be %s: %s", res.Comment, words, strings.Join(list, ", "))
	}
	if err := s.p.hold(ctx, list, want); err != nil {
		return state.Result{Comment: fmt.Sprintf("%s\n%v", res.Comment, err), Changes: res.Changes}
	}
	if res.Changes == nil {
		res.Changes = data.NewMap()
	}
	for _, name := range list {
		res.Changes.Set(name+" hold", data.NewMap("old", !want, "new", want))
	}
	res.Comment += fmt.Sprintf("\nThe following packages are %s: %s", words, strings.Join(list, ", "))
	return res
}
