package compile

import (
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// requisites are the arguments by which states depend on each other.
var requisites = []string{
	"require", "require_any", "watch", "watch_any", "prereq", "onfail", "onfail_any", "onfail_all", "onchanges",
	"onchanges_any", "listen", "prerequired", "onfail_stop",
}

// looped are the requisites that Salt looks for loops in before it runs anything.
var looped = []string{"require", "watch", "prereq", "onchanges"}

// verify tells what is not formed as it should be, and requisites that go both ways.
func verify(h *High, p *problems) {
	v := verifier{p: p, reqs: map[string]*edges{}}
	for _, id := range h.ids {
		for _, d := range id.Decls {
			v.decl(id, d)
		}
	}
}

// edges are the requisites of one ID that were read last: Salt forgets those before.
type edges struct {
	state string
	to    map[any]string
}

type verifier struct {
	p    *problems
	reqs map[string]*edges
}

func (v *verifier) bad(id *ID, at *yaml.Node, format string, args ...any) {
	v.p.add(BadData, id.SLS, at, format, args...)
}

func (v *verifier) decl(id *ID, d *Decl) {
	switch d.bad {
	case "":
	case yaml.Null:
		v.bad(id, d.node, "ID '%s' in SLS '%s' contains a short declaration (%s) with a trailing colon; without arguments, leave the colon out",
			id.Name, id.SLS, d.State)
		return
	default:
		v.bad(id, d.node, "State '%s' in SLS '%s' is not formed as a list: %s is %s; write each argument as \"- name: value\"",
			id.Name, id.SLS, d.State, d.bad)
		return
	}
	var funs []string
	for _, a := range d.Args {
		switch {
		case a.none:
			v.bad(id, a.node, "an argument of state '%s' in SLS '%s' is neither \"name: value\" nor a function", id.Name, id.SLS)
		case a.Map != nil:
			v.argument(id, d, a)
		default:
			if strings.Contains(strings.TrimSpace(a.Fun), " ") {
				v.bad(id, a.node, "The function %q in state %q in SLS %q has whitespace; perhaps it is an argument that is missing a \":\"", a.Fun, id.Name, id.SLS)
			}
			funs = append(funs, a.Fun)
		}
	}
	switch {
	case len(funs) == 0:
		v.bad(id, d.node, "No function declared in state '%s' in SLS '%s': write %s.FUNCTION", id.Name, id.SLS, d.State)
	case len(funs) > 1:
		v.bad(id, d.node, "Too many functions declared in state '%s' in SLS '%s'; choose one of the following: %s", id.Name, id.SLS, strings.Join(funs, ", "))
	}
}

func (v *verifier) argument(id *ID, d *Decl, a Arg) {
	key := a.key()
	list, isList := a.value().([]any)
	switch {
	case key == "names" && !isList:
		v.bad(id, a.node, "The 'names' argument in state '%s' in SLS '%s' needs to be formed as a list", id.Name, id.SLS)
	case key == "onfail_stop" || !slices.Contains(requisites, key) && !strings.HasSuffix(key, "_in"):
		return
	case !isList && strings.HasSuffix(key, "_in"): // an argument of that name, or what Salt takes too: one mapping
		return
	case !isList:
		v.bad(id, a.node, "The %s statement in state '%s' in SLS '%s' needs to be formed as a list", key, id.Name, id.SLS)
		return
	case !slices.Contains(requisites, key):
		return
	}
	if a.Map.Len() != 1 {
		v.bad(id, a.node, "Multiple dictionaries defined in an argument of state '%s' in SLS '%s': %s has a neighbour without a dash", id.Name, id.SLS, key)
	}
	loops := slices.Contains(looped, key)
	if loops {
		v.reqs[id.Name] = &edges{d.State, map[any]string{}}
	}
	for n, req := range list {
		state, to, ok := requirement(req)
		switch {
		case !ok:
			v.bad(id, a.item(n), "Requisite declaration %s in SLS %s is not formed as a single key dictionary, such as \"file: /etc/x\"", modules.Text(req), id.SLS)
		case strings.Contains(state, "."):
			short, _, _ := strings.Cut(state, ".")
			v.bad(id, a.item(n), "Invalid requisite type '%s' in state '%s', in SLS '%s'. Requisite types must not contain dots, did you mean '%s'?", state, id.Name, id.SLS, short)
		case loops:
			v.loop(id, d, a.item(n), state, to)
		}
	}
}

// loop tells of two states that require each other. Longer loops are found when they are run, as in Salt.
func (v *verifier) loop(id *ID, d *Decl, at *yaml.Node, state string, to any) {
	own := v.reqs[id.Name]
	own.to[to] = state
	name, _ := to.(string)
	if other := v.reqs[name]; other != nil && other.to[id.Name] == d.State && other.state == own.to[to] {
		v.p.add(Recursive, id.SLS, at, "A recursive requisite was found, SLS %q ID %q ID %q: each waits for the other", id.SLS, id.Name, name)
	}
}

// requirement reads an item of a requisite: {STATE: NAME}, or NAME, which is the ID of any state.
func requirement(v any) (state string, to any, ok bool) {
	switch v := v.(type) {
	case string:
		return "id", v, true
	case *data.Map:
		for key, value := range v.All() {
			text, isText := key.(string)
			switch value.(type) {
			case []any, *data.Map:
				return text, nil, false
			}
			return text, value, isText && v.Len() == 1
		}
	}
	return "", nil, false
}
