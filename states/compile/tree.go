package compile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Document is one rendered SLS.
type Document struct {
	SLS, Env string
	Path     string // below the root of the files: "web/init.sls"
	Root     *yaml.Node
}

// Source gives SLS files, rendered.
type Source interface {
	// Load renders an SLS. The error is fs.ErrNotExist when there is none, Errors when it does not render.
	Load(ctx context.Context, env, sls string) (*Document, error)
	// Names lists the SLS of an environment, sorted. The error is fs.ErrNotExist when there is no such environment.
	Names(ctx context.Context, env string) ([]string, error)
}

// Mods are the SLS to apply, by environment.
type Mods []Mod

// Mod is an SLS, or a glob of several.
type Mod struct{ Env, SLS string }

// firstOrder is where the numbers of states without an order begin.
const firstOrder = 10000

// Tree renders SLS files and all that they include, and gives what they declare: high data that are formed well, but for
// what depends on other IDs. The error is Errors, or the context's.
func Tree(ctx context.Context, src Source, mods Mods) (*High, error) {
	t := &tree{ctx: ctx, src: src, seen: map[Mod]bool{}, names: map[string][]string{}, order: firstOrder}
	for _, m := range mods {
		t.matched = append(t.matched, m.Env)
	}
	high := newHigh()
	for _, m := range mods {
		for _, sls := range t.resolve(m.Env, m.SLS) {
			mod := Mod{m.Env, sls}
			if t.seen[mod] {
				continue
			}
			if h := t.load(mod, nil, nil); h != nil {
				high.merge(h, &t.p)
			}
			if t.err != nil {
				return nil, t.err
			}
		}
	}
	verify(high, &t.p)
	return high, t.p.err()
}

type tree struct {
	ctx     context.Context
	src     Source
	p       problems
	err     error // what stops all
	seen    map[Mod]bool
	names   map[string][]string // of environments, as far as asked for
	matched []string            // the environments of what is applied
	order   int64
}

// list gives the names of an environment; ok is false when there is none.
func (t *tree) list(env string) (names []string, ok bool) {
	names, known := t.names[env]
	if !known {
		got, err := t.src.Names(t.ctx, env)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.err = err
		}
		if err == nil && got == nil {
			got = []string{}
		}
		t.names[env], names = got, got
	}
	return names, names != nil
}

// known reports whether there is such an environment.
func (t *tree) known(env string) bool {
	_, ok := t.list(env)
	return ok
}

// resolve gives the SLS that a name or a glob means; itself when there is none, for the error to come.
func (t *tree) resolve(env, pattern string) []string {
	if !strings.ContainsAny(pattern, "*?[") { // no need to list a whole tree
		return []string{pattern}
	}
	if found := t.there(env, pattern); found != nil {
		return found
	}
	return []string{pattern}
}

// load renders one SLS and what it includes. For a missing one, from and at say where it was included.
func (t *tree) load(mod Mod, from *Document, at *yaml.Node) *High {
	doc, err := t.src.Load(t.ctx, mod.Env, mod.SLS)
	var bad Errors
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if from == nil {
			t.p.add(MissingSLS, mod.SLS, nil, "no matching sls found for '%s' in env '%s'; it would be %s.sls or %[1]s/init.sls",
				mod.SLS, mod.Env, strings.ReplaceAll(mod.SLS, ".", "/"))
		} else {
			e := &Error{
				Class: MissingSLS, File: mod.SLS,
				Message: fmt.Sprintf("Specified SLS %s in saltenv %s is not available; it is included at %s", mod.SLS, mod.Env, at.Pos()),
				Snippet: at.Errorf("").Source,
			}
			t.p.all = append(t.p.all, e)
		}
		return nil
	case errors.As(err, &bad):
		t.seen[mod] = true
		t.p.all = append(t.p.all, bad...)
		return nil
	case err != nil:
		t.err = err
		return nil
	}
	t.seen[mod] = true
	h, includes := declared(doc, &t.p)
	for _, inc := range includes {
		t.include(h, doc, inc)
	}
	t.number(h)
	return h
}

// include adds what an entry of an include list means.
func (t *tree) include(h *High, doc *Document, inc include) {
	envs := []string{inc.env}
	if inc.env == "_xenv" {
		envs = slices.DeleteFunc(slices.Compact(slices.Clone(t.matched)), func(env string) bool { return len(t.there(env, inc.sls)) == 0 })
	} else if inc.env != doc.Env && !t.known(inc.env) {
		t.p.add(MissingSLS, doc.SLS, inc.node, "there is no saltenv '%s', which the include of '%s' in SLS '%s:%s' names", inc.env, inc.sls, doc.Env, doc.SLS)
		return
	}
	sls, ok := relative(doc, inc.sls)
	if !ok {
		t.p.add(BadData, doc.SLS, inc.node, "the relative include of '%s' in SLS '%s:%s' goes beyond the top level", inc.sls, doc.Env, doc.SLS)
		return
	}
	env := doc.Env
	switch {
	case len(envs) == 1:
		env = envs[0]
	case len(envs) == 0:
		t.p.add(MissingSLS, sls, inc.node, "Specified SLS %s is not available in any saltenv that is applied", sls)
		return
	case !slices.Contains(envs, doc.Env):
		t.p.add(BadData, doc.SLS, inc.node, "SLS %s is ambiguous: it is in several saltenvs, %s", sls, strings.Join(envs, ", "))
		return
	}
	for _, name := range t.resolve(env, sls) {
		if mod := (Mod{env, name}); !t.seen[mod] && t.err == nil {
			if more := t.load(mod, doc, inc.node); more != nil {
				h.merge(more, &t.p)
			}
		}
	}
}

// there gives the names of an environment that match.
func (t *tree) there(env, pattern string) (found []string) {
	names, _ := t.list(env)
	for _, name := range names {
		if target.Glob(pattern, name) {
			found = append(found, name)
		}
	}
	return found
}

// relative resolves the dots in front of an include: one for the includer's folder, each further one for the folder above.
func relative(doc *Document, sls string) (string, bool) {
	rest := strings.TrimLeft(sls, ".")
	levels := len(sls) - len(rest)
	if levels == 0 {
		return sls, true
	}
	parts := strings.Split(doc.SLS, ".")
	if strings.HasSuffix(doc.Path, "/init.sls") {
		parts = append(parts, "init")
	}
	if levels > len(parts) {
		return "", false
	}
	return strings.Join(append(parts[:len(parts)-levels:len(parts)-levels], rest), "."), true
}

// number gives those states an order that have none: after all that their file includes.
func (t *tree) number(h *High) {
	for _, id := range h.ids {
		for _, d := range id.Decls {
			ordered := slices.ContainsFunc(d.Args, func(a Arg) bool { return a.key() == "order" })
			if d.bad == "" && !ordered {
				d.Args = append(d.Args, Arg{Map: data.NewMap("order", t.order), node: d.node})
				t.order++
			}
		}
	}
}

// ParseMods reads SLS names as people give them: "a,b", or a list.
func ParseMods(env string, v any) (mods Mods) {
	switch v := v.(type) {
	case nil:
	case []any:
		for _, one := range v {
			mods = append(mods, ParseMods(env, one)...)
		}
	default:
		for name := range strings.SplitSeq(modules.Text(v), ",") {
			if name = strings.TrimSpace(name); name != "" {
				mods = append(mods, Mod{env, name})
			}
		}
	}
	return mods
}
