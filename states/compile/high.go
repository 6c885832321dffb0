package compile

import (
	"slices"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// High is what SLS files declare, by ID, in the order in which they were read.
type High struct {
	ids     []*ID
	index   map[string]*ID
	extends []*ID // of extend: in the form of IDs
	exclude []exclusion
	byValue map[argued][]reference // see indexed
}

// ID is one declaration.
type ID struct {
	Name     string
	SLS, Env string
	Decls    []*Decl // one for each state module: file, cmd
	node     *yaml.Node
}

// Decl is what an ID declares of one state module.
type Decl struct {
	State string
	Args  []Arg
	node  *yaml.Node // its key
	bad   yaml.Kind  // what it is instead of a list; "" when it is one
}

// Arg is one item of a declaration.
type Arg struct {
	Fun  string    // the name of the function; or
	Map  *data.Map // an argument, or several; or
	none bool      // neither
	node *yaml.Node
}

// key is an argument's name: the first, should there be more.
func (a Arg) key() string {
	for k := range a.Map.All() {
		text, _ := k.(string)
		return text
	}
	return ""
}

// value is the argument of the name key.
func (a Arg) value() any {
	for _, v := range a.Map.All() {
		return v
	}
	return nil
}

// item is the node of the n-th item of an argument that is a list, or the argument's.
func (a Arg) item(n int) *yaml.Node {
	pairs := a.node.Pairs()
	if len(pairs) == 0 {
		return a.node
	}
	if items := pairs[0].Value.Items(); n < len(items) {
		return items[n]
	}
	return pairs[0].Key
}

type exclusion struct {
	sls, id string
	raw     any // as it was written
}

func newHigh() *High { return &High{index: map[string]*ID{}} }

// ID gives the declaration of a name, or nil.
func (h *High) ID(name string) *ID { return h.index[name] }

func (h *High) add(id *ID) {
	h.ids = append(h.ids, id)
	h.index[id.Name] = id
}

func (h *High) remove(names map[string]bool) {
	h.ids = slices.DeleteFunc(h.ids, func(id *ID) bool { return names[id.Name] })
	for name := range names {
		delete(h.index, name)
	}
}

// merge adds what another file declares; an ID that is there already is an error.
func (h *High) merge(other *High, p *problems) {
	h.extends = append(h.extends, other.extends...)
	h.exclude = append(h.exclude, other.exclude...)
	for _, id := range other.ids {
		was := h.index[id.Name]
		switch {
		case was == nil:
			h.add(id)
		case was != id:
			at := id.node.Pos()
			p.add(DuplicateID, was.SLS, was.node, "the ID %q is declared twice, in SLS %q and in SLS %q (%s); IDs are unique across all SLS files",
				id.Name, was.Env+":"+was.SLS, id.Env+":"+id.SLS, at)
		}
	}
}

// decl gives what an ID declares of a state module, or nil.
func (id *ID) decl(state string) *Decl {
	if id == nil {
		return nil
	}
	for _, d := range id.Decls {
		if d.State == state {
			return d
		}
	}
	return nil
}

// Data gives the high data in Salt's form, as state.show_sls shows them.
func (h *High) Data() *data.Map {
	out := &data.Map{}
	for _, id := range h.ids {
		out.Set(id.Name, id.data())
	}
	if len(h.extends) > 0 {
		var list []any
		for _, id := range h.extends {
			list = append(list, data.NewMap(id.Name, id.data()))
		}
		out.Set("__extend__", list)
	}
	if len(h.exclude) > 0 {
		var list []any
		for _, e := range h.exclude {
			list = append(list, e.raw)
		}
		out.Set("__exclude__", list)
	}
	return out
}

func (id *ID) data() *data.Map {
	m := &data.Map{}
	for _, d := range id.Decls {
		args := []any{}
		for _, a := range d.Args {
			if a.Map != nil {
				args = append(args, a.Map)
			} else {
				args = append(args, a.Fun)
			}
		}
		m.Set(d.State, args)
	}
	m.Set("__sls__", id.SLS)
	m.Set("__env__", id.Env)
	return m
}

// Handler is a state that is there for another one's failure.
type Handler struct{ State, ID string }

// Handlers gives the states that have an ID's state as their onfail, and onfail_stop false.
func (h *High) Handlers(state, id string) (all []Handler) {
	if h == nil {
		return nil
	}
	for _, other := range h.ids {
		for _, d := range other.Decls {
			if other.Name != id && d.goesOn() && d.onfail(state, id) {
				all = append(all, Handler{d.State, other.Name})
			}
		}
	}
	return all
}

func (d *Decl) goesOn() bool {
	return slices.ContainsFunc(d.Args, func(a Arg) bool {
		stop, ok := a.Map.Get("onfail_stop")
		return ok && stop == false
	})
}

func (d *Decl) onfail(state, id string) bool {
	for _, a := range d.Args {
		v, _ := a.Map.Get("onfail")
		list, _ := v.([]any)
		for _, item := range list {
			if m, _ := item.(*data.Map); m != nil {
				if to, ok := m.Get(state); ok && to == id {
					return true
				}
			}
		}
	}
	return false
}
