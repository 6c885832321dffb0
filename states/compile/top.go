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

// TopOptions say how top files are read, in Salt's words.
type TopOptions struct {
	Name       string   // "top" (state_top without .sls) when empty
	Saltenv    string   // only this environment; "" for all
	Envs       []string // the environments, base first
	Strategy   string   // top_file_merging_strategy: "merge" when empty, "merge_all", "same"
	DefaultTop string   // for "same": whose top file serves environments that have none
	Subject    target.Subject
	Nodegroups target.Nodegroups
}

// Top reads the top files and gives the SLS that the minion is to apply; none when nothing matches. The error is Errors, or
// the context's.
func Top(ctx context.Context, src Source, o TopOptions) (Mods, error) {
	t := topReader{ctx: ctx, src: src, o: o}
	if o.Name == "" {
		t.o.Name = "top"
	}
	envs := o.Envs
	if o.Saltenv != "" {
		envs = []string{o.Saltenv}
	}
	tops := map[string][]*Document{}
	for _, env := range envs {
		docs, err := t.read(env)
		if err != nil {
			return nil, err
		}
		tops[env] = docs
	}
	t.merge(envs, tops)
	mods := t.match()
	return mods, t.p.err()
}

// matchOf is a target of a top file with what it is to get.
type matchOf struct {
	env    string
	expr   string
	sls    string // of the top file, for errors
	key    *yaml.Node
	states []*yaml.Node
}

type topReader struct {
	ctx     context.Context
	src     Source
	o       TopOptions
	p       problems
	matches []*matchOf
}

// read gives the top file of an environment and those that it includes.
func (t *topReader) read(env string) (docs []*Document, err error) {
	pending, done := []string{t.o.Name}, map[string]bool{}
	for len(pending) > 0 {
		sls := pending[0]
		pending = pending[1:]
		if done[sls] {
			continue
		}
		done[sls] = true
		doc, err := t.src.Load(t.ctx, env, sls)
		var bad Errors
		switch {
		case errors.Is(err, fs.ErrNotExist) && sls == t.o.Name:
			return nil, nil
		case errors.Is(err, fs.ErrNotExist):
			t.p.add(MissingSLS, sls, nil, "the top file of %s includes %s, which is not there", env, sls)
			continue
		case errors.As(err, &bad):
			t.p.all = append(t.p.all, bad...)
			continue
		case err != nil:
			return nil, err
		}
		docs = append(docs, doc)
		for _, n := range doc.Root.Get("include").Items() {
			names, _ := t.src.Names(t.ctx, env)
			for _, name := range names {
				if target.Glob(modules.Text(n.Data()), name) {
					pending = append(pending, name)
				}
			}
		}
	}
	return docs, nil
}

// merge puts the sections of all top files together.
func (t *topReader) merge(envs []string, tops map[string][]*Document) {
	taken := map[string]bool{} // environments that base's top file has spoken for
	for _, env := range envs {
		docs := tops[env]
		only := func(section string) bool { return section == env }
		switch {
		case t.o.Strategy == "merge_all", t.o.Strategy != "same" && env == envs[0] && env == "base":
			only = func(string) bool { return true }
		case t.o.Strategy == "same" && len(docs) == 0:
			docs = tops[t.o.DefaultTop]
		case t.o.Strategy != "same":
			only = func(section string) bool { return section == env && !taken[section] }
		}
		sections := t.sections(docs, only)
		for _, m := range sections {
			taken[m.env] = true
		}
		for _, m := range sections {
			t.put(m)
		}
	}
}

// put adds a match; one for the same target takes the place of the one before, or is added to it.
func (t *topReader) put(m *matchOf) {
	i := slices.IndexFunc(t.matches, func(o *matchOf) bool { return o.env == m.env && o.expr == m.expr })
	switch {
	case i < 0:
		t.matches = append(t.matches, m)
	case t.o.Strategy == "merge_all":
		t.matches[i].states = append(t.matches[i].states, m.states...)
	default:
		t.matches[i] = m
	}
}

func (t *topReader) sections(docs []*Document, only func(env string) bool) (all []*matchOf) {
	for _, doc := range docs {
		if k := doc.Root.Kind(); k != yaml.Mapping && k != yaml.Null {
			t.p.add(BadTop, doc.SLS, doc.Root, "a top file is a mapping of environments, not %s", k)
		}
		for _, section := range doc.Root.Pairs() {
			env := keyText(section.Key)
			if env == "include" || !only(env) {
				continue
			}
			if section.Value.Kind() != yaml.Mapping {
				t.p.add(BadTop, doc.SLS, section.Key, "the top file matches for saltenv %s are not formatted as a dict of targets", env)
				continue
			}
			for _, pair := range section.Value.Pairs() {
				m := &matchOf{env: env, expr: keyText(pair.Key), sls: doc.SLS, key: pair.Key, states: pair.Value.Items()}
				if pair.Value.Kind() == yaml.Scalar { // Salt takes one name for a list, too
					m.states = []*yaml.Node{pair.Value}
				} else if pair.Value.Kind() != yaml.Sequence {
					t.p.add(BadTop, doc.SLS, pair.Key, "what %s gets is not formed as a list of SLS names", m.expr)
				}
				all = append(all, m)
			}
		}
	}
	return all
}

// match gives what the targets that match are to get.
func (t *topReader) match() (mods Mods) {
	for _, m := range t.matches {
		if t.o.Saltenv != "" && m.env != t.o.Saltenv || !t.matchOne(m) {
			continue
		}
		for _, n := range m.states {
			switch v := n.Data().(type) {
			case string:
				mods = append(mods, Mod{m.env, v})
			case *data.Map:
				mods = append(mods, t.elsewhere(v)...)
			}
		}
	}
	// Salt keeps what environments get together.
	var order []string
	for _, m := range mods {
		if !slices.Contains(order, m.Env) {
			order = append(order, m.Env)
		}
	}
	slices.SortStableFunc(mods, func(a, b Mod) int { return slices.Index(order, a.Env) - slices.Index(order, b.Env) })
	return mods
}

// elsewhere reads {ENVIRONMENT: SLS}; other mappings are options.
func (t *topReader) elsewhere(m *data.Map) (mods Mods) {
	for k, v := range m.All() {
		if env, ok := k.(string); ok && slices.Contains(t.o.Envs, env) {
			mods = append(mods, Mod{env, modules.Text(v)})
		}
	}
	return mods
}

func (t *topReader) matchOne(m *matchOf) bool {
	kind := "compound"
	for _, n := range m.states {
		if v, _ := n.Data().(*data.Map); v != nil {
			if as, ok := v.Get("match"); ok {
				kind = modules.Text(as)
			}
		}
	}
	expr, err := parseMatch(kind, m.expr, t.o.Nodegroups)
	if err != nil {
		t.p.add(BadTop, m.sls, m.key, "the target %q cannot be matched: %s", m.expr, err)
		return false
	}
	return expr.Match(t.o.Subject)
}

// parseMatch makes a target of an expression of one of Salt's kinds.
func parseMatch(kind, expr string, groups target.Nodegroups) (*target.Target, error) {
	letters := map[string]string{
		"glob": "", "pcre": "E@", "list": "L@", "grain": "G@", "grain_pcre": "P@", "pillar": "I@", "pillar_pcre": "J@",
		"pillar_exact": "I@", "ipcidr": "S@", "nodegroup": "N@",
	}
	letter, ok := letters[kind]
	switch {
	case kind == "compound":
		return target.ParseWith(expr, groups)
	case !ok:
		return nil, fmt.Errorf("there is no kind of match %q", kind)
	case kind == "pillar_exact":
		expr = strings.ReplaceAll(expr, "*", "[*]")
	case kind == "list":
		expr = strings.ReplaceAll(expr, " ", "")
	}
	return target.ParseWords([]string{letter + expr}, groups)
}

// Data gives the mods by environment, as state.show_top shows them.
func (m Mods) Data() *data.Map {
	out := &data.Map{}
	for _, one := range m {
		list, _ := out.Get(one.Env)
		names, _ := list.([]any)
		out.Set(one.Env, append(names, one.SLS))
	}
	return out
}
