package compile

import (
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// reconcile adds to IDs what extend declares of them. Strict is for what requisites add: then an ID counts only when it
// has the state.
func (h *High) reconcile(p *problems, strict bool) {
	extends := h.extends
	h.extends = nil
	h.indexed()
	for _, ext := range extends {
		if len(ext.Decls) == 0 || h.excluded(ext.SLS) {
			continue
		}
		id := h.index[ext.Name]
		if id.decl(ext.Decls[0].State) == nil {
			found := h.find(ext.Name, ext.Decls[0].State, strict)
			if len(found) != 1 {
				near := ""
				if len(p.all) < 10 { // looking for it takes time
					near = suggest(ext.Name, h.names())
				}
				p.add(Extend, ext.SLS, ext.node, "Cannot extend ID '%s' in '%s:%s'. It is not part of the high state; is the SLS that declares it included?%s",
					ext.Name, ext.Env, ext.SLS, near)
				continue
			}
			id = found[0].id
		}
		for _, d := range ext.Decls {
			id.extend(d)
		}
	}
}

func suggest(name string, known []string) string {
	if near := yaml.Nearest(name, known); near != "" {
		return " Did you mean '" + near + "'?"
	}
	return ""
}

func (h *High) names() []string {
	names := make([]string, len(h.ids))
	for i, id := range h.ids {
		names[i] = id.Name
	}
	return names
}

func (h *High) excluded(sls string) bool {
	return slices.ContainsFunc(h.exclude, func(e exclusion) bool { return e.sls != "" && e.sls == sls })
}

// extend puts the arguments of d over those that the ID has: requisites are added, all else is replaced.
func (id *ID) extend(d *Decl) {
	own := id.decl(d.State)
	if own == nil {
		id.Decls = append(id.Decls, d)
		return
	}
	if d.bad != "" || own.bad != "" {
		own.bad = d.bad // verify tells
		return
	}
	for _, arg := range d.Args {
		if !own.replace(arg) {
			own.Args = append(own.Args, arg)
		}
	}
}

func (d *Decl) replace(arg Arg) (done bool) {
	for i, has := range d.Args {
		switch {
		case arg.Map == nil && has.Map == nil && !arg.none && !has.none:
			d.Args[i], done = arg, true
		case arg.Map == nil || has.Map == nil:
		case arg.key() == has.key():
			if slices.Contains(requisites, arg.key()) {
				d.Args[i].Map = joined(has, arg)
			} else {
				d.Args[i] = arg
			}
			done = true
		case arg.key() == "name" && has.key() == "names":
			d.Args[i] = arg
		}
	}
	return done
}

// joined is a requisite with the items of another.
func joined(a, b Arg) *data.Map {
	one, ok := a.value().([]any)
	two, ok2 := b.value().([]any)
	m, _ := data.Copy(a.Map).(*data.Map)
	if ok && ok2 {
		m.Set(a.key(), append(slices.Clone(one), two...))
	}
	return m
}

// reference is an ID, and a state that it declares.
type reference struct {
	id    *ID
	state string
}

// argued is a state that has an argument of some value.
type argued struct{ state, value string }

// indexed finds states by the values of their arguments; it is as old as the call.
func (h *High) indexed() {
	h.byValue = map[argued][]reference{}
	for _, id := range h.ids {
		for _, d := range id.Decls {
			for _, a := range d.Args {
				text, ok := a.value().(string)
				key := argued{d.State, text}
				if had := h.byValue[key]; ok && a.Map.Len() == 1 && (len(had) == 0 || had[len(had)-1].id != id) {
					h.byValue[key] = append(had, reference{id, d.State})
				}
			}
		}
	}
}

// find gives the IDs that a name means: the ID itself, all of an SLS, or those that have an argument of that value.
func (h *High) find(name, state string, strict bool) (found []reference) {
	if id := h.index[name]; id != nil && (!strict || id.decl(state) != nil) {
		return []reference{{id, state}}
	}
	if state != "sls" {
		return h.byValue[argued{state, name}]
	}
	for _, id := range h.ids {
		if id.SLS == name && len(id.Decls) > 0 {
			found = append(found, reference{id, id.Decls[0].State})
		}
	}
	return found
}

// inverse are the requisites that act on another state than the one that has them.
var inverse = []string{"require_in", "watch_in", "onfail_in", "onchanges_in", "use", "use_in", "prereq", "prereq_in"}

// unused are arguments that use does not take over.
var unused = slices.Concat(inverse, []string{"require", "watch", "onfail", "onfail_stop", "onchanges", "name", "names"})

// turn makes of inverse requisites what they add to other states, and adds it.
func (h *High) turn(p *problems) {
	h.indexed()
	t := turner{h: h, p: p, index: map[string]*ID{}}
	for _, id := range h.ids {
		for _, d := range id.Decls {
			for _, a := range d.Args {
				if a.Map != nil && slices.Contains(inverse, a.key()) {
					t.argument(id, d, a)
				}
			}
		}
	}
	h.extends = t.all
	h.reconcile(p, true)
}

type turner struct {
	h     *High
	p     *problems
	all   []*ID
	index map[string]*ID
}

// to gives what is added to a state of an ID so far.
func (t *turner) to(name, state string, from *ID, at *yaml.Node) *Decl {
	ext := t.index[name]
	if ext == nil {
		ext = &ID{Name: name, SLS: from.SLS, Env: from.Env, node: at}
		t.index[name] = ext
		t.all = append(t.all, ext)
	}
	d := ext.decl(state)
	if d == nil {
		d = &Decl{State: state, node: at}
		ext.Decls = append(ext.Decls, d)
	}
	return d
}

func (d *Decl) add(key string, req *data.Map, at *yaml.Node) {
	arg := Arg{Map: data.NewMap(key, []any{req}), node: at}
	for i, has := range d.Args {
		if has.key() == key {
			d.Args[i].Map = joined(has, arg)
			return
		}
	}
	d.Args = append(d.Args, arg)
}

func (t *turner) argument(id *ID, d *Decl, a Arg) {
	items, isList := a.value().([]any)
	if one, ok := a.value().(*data.Map); ok && !isList { // one mapping is taken for a list of them
		for k, v := range one.All() {
			items = append(items, data.NewMap(k, v))
		}
	}
	for n, item := range items {
		at := a.item(n)
		state, name, ok := t.meant(item)
		if !ok {
			continue
		}
		if short, _, dotted := strings.Cut(state, "."); dotted {
			t.p.add(BadData, id.SLS, at, "Invalid requisite in %s: %s for %s, in SLS '%s'. Requisites must not contain dots, did you mean '%s'?",
				a.key(), state, name, id.SLS, short)
			continue
		}
		if state != "sls" {
			t.item(id, d, a.key(), at, reference{&ID{Name: name}, state})
			continue
		}
		for _, other := range t.h.ids {
			for _, od := range other.Decls {
				if other.SLS == name {
					t.item(id, d, a.key(), at, reference{other, od.State})
				}
			}
		}
	}
}

// meant reads an item; a bare name is looked for among the IDs, then among the names.
func (t *turner) meant(item any) (state, name string, ok bool) {
	bare, isText := item.(string)
	if !isText {
		state, to, ok := requirement(item)
		return state, modules.Text(to), ok
	}
	if id := t.h.index[bare]; id != nil && len(id.Decls) > 0 {
		return id.Decls[0].State, bare, true
	}
	for _, id := range t.h.ids {
		for _, d := range id.Decls {
			for _, a := range d.Args {
				if v, has := a.Map.Get("name"); has && v == item {
					state, name, ok = d.State, id.Name, true
				}
			}
		}
	}
	return state, name, ok
}

func (t *turner) item(id *ID, d *Decl, key string, at *yaml.Node, to reference) {
	name := to.id.Name
	back := data.NewMap(d.State, id.Name)
	switch key {
	case "prereq":
		for _, found := range t.h.find(name, to.state, true) {
			t.to(found.id.Name, found.state, id, at).add("prerequired", back, at)
		}
		return
	case "use_in":
		for _, found := range t.h.find(name, to.state, true) {
			use(t.to(found.id.Name, found.state, id, at), d, found.id.decl(found.state))
		}
		return
	case "use":
		for _, found := range t.h.find(name, to.state, true) {
			if from := found.id.decl(found.state); from != nil {
				use(t.to(id.Name, d.State, id, at), from, d)
			}
		}
		return
	case "prereq_in":
		t.to(id.Name, d.State, id, at).add("prerequired", data.NewMap(to.state, name), at)
	}
	requisite, _, _ := strings.Cut(key, "_")
	t.to(name, to.state, id, at).add(requisite, back, at)
}

// use takes arguments from one state over to another that does not have them.
func use(into, from, over *Decl) {
	for _, a := range from.Args {
		if a.Map.Len() != 1 || slices.Contains(unused, a.key()) {
			continue
		}
		has := func(b Arg) bool { return b.Map.Len() == 1 && b.key() == a.key() }
		if !slices.ContainsFunc(over.Args, has) && !slices.ContainsFunc(into.Args, has) {
			into.Args = append(into.Args, a)
		}
	}
}

// applyExclude takes out what exclude names, by ID or by SLS.
func (h *High) applyExclude() {
	gone := map[string]bool{}
	for _, e := range h.exclude {
		if e.id != "" {
			gone[e.id] = true
			continue
		}
		for _, id := range h.ids {
			if target.Glob(e.sls, id.SLS) {
				gone[id.Name] = true
			}
		}
	}
	h.exclude = nil
	h.remove(gone)
}

// Exclude adds to what exclude takes out: "a,b", or a list of SLS names, {sls: NAME} and {id: NAME}.
func (h *High) Exclude(v any) {
	if list, ok := v.([]any); ok {
		for _, one := range list {
			h.exclude = append(h.exclude, exclusions(one)...)
		}
		return
	}
	for _, m := range ParseMods("", v) {
		h.exclude = append(h.exclude, exclusion{sls: m.SLS, raw: m.SLS})
	}
}

// Finish puts extend, inverse requisites and exclude into effect. The error is Errors.
func (h *High) Finish() error {
	var p problems
	h.reconcile(&p, false)
	verify(h, &p)
	if p.all == nil {
		h.turn(&p)
		h.applyExclude()
	}
	return p.err()
}
