package compile

import (
	"cmp"
	"math"
	"slices"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Chunk is one state to call.
type Chunk struct {
	State, Fun string
	Name       string
	ID         string
	SLS, Env   string
	Order      float64
	// Args are all arguments, with requisites and all else that is not the function's own; without name, names and order.
	Args *data.Map
	// BadName is what a name is that is no text; nil when it is.
	BadName any

	node *yaml.Node
	at   map[any]*yaml.Node // where the arguments are
}

// Wrong makes a complaint about an argument, or with an empty name about the whole chunk.
func (c *Chunk) Wrong(class Class, arg, format string, args ...any) *Error {
	var p problems
	node := c.at[arg]
	if node == nil {
		node = c.node
	}
	p.add(class, c.SLS, node, format, args...)
	return p.all[0]
}

// Data gives the chunk in Salt's form, as state.show_lowstate shows it.
func (c *Chunk) Data() *data.Map {
	m := data.NewMap("state", c.State, "name", c.Name, "__sls__", c.SLS, "__env__", c.Env, "__id__", c.ID)
	for k, v := range c.Args.All() {
		m.Set(k, v)
	}
	m.Set("order", c.order())
	m.Set("fun", c.Fun)
	return m
}

func (c *Chunk) order() any {
	if c.Order == math.Trunc(c.Order) {
		return int64(c.Order)
	}
	return math.Round(c.Order*10000) / 10000
}

// Low gives the chunks of high data in the order in which they are called, their requisites aside.
func (h *High) Low() []*Chunk {
	var chunks []*Chunk
	orders := map[*Chunk]placing{}
	for _, id := range h.ids {
		for _, d := range id.Decls {
			for _, one := range d.chunks(id) {
				chunks = append(chunks, one.chunk)
				orders[one.chunk] = one.placing
			}
		}
	}
	last := 1.0 // after all positive orders
	for _, c := range chunks {
		if n, ok := orders[c].order.(int64); ok && float64(n) > last-1 && n > 0 {
			last = float64(n) + 100
		}
	}
	for _, c := range chunks {
		c.Order = orders[c].number(last)
	}
	slices.SortStableFunc(chunks, func(a, b *Chunk) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.State+a.Name+a.Fun, b.State+b.Name+b.Fun))
	})
	return chunks
}

// placing is what decides of a chunk's order.
type placing struct {
	order any // as declared; nil when it is not
	name  int // among the names of its ID, from 1
}

// end is how far behind the others "last" and negative orders are.
const end = 1_000_000

func (o placing) number(last float64) float64 {
	n := last
	switch v := o.order.(type) {
	case nil:
		return last
	case int64:
		n = float64(v)
	case float64:
		n = v
	case bool: // a number in Python
		n = 0
		if v {
			n = 1
		}
	case string:
		switch v {
		case "last":
			n = last + end
		case "first":
			n = 0
		}
	}
	n += float64(o.name) / 10000
	if n < 0 {
		n += last + end
	}
	return n
}

type placed struct {
	chunk   *Chunk
	placing placing
}

func (d *Decl) chunks(id *ID) (out []placed) {
	c := &Chunk{
		State: d.State, Name: id.Name, ID: id.Name, SLS: id.SLS, Env: id.Env, Args: &data.Map{}, node: d.node, at: map[any]*yaml.Node{},
	}
	var at placing
	var names []any
	for _, a := range d.Args {
		if a.Map == nil {
			c.Fun = a.Fun
		}
		for k, v := range a.Map.All() {
			if k == "names" {
				names = addNames(names, v)
				continue
			}
			c.set(k, v, &at)
			c.at[k] = a.node
		}
	}
	if c.Fun == "" {
		return nil
	}
	if len(names) == 0 {
		return []placed{{c, at}}
	}
	for i, entry := range names {
		own, place := *c, at
		own.Args, _ = data.Copy(c.Args).(*data.Map)
		place.name = i + 1
		own.rename(entry, &place)
		out = append(out, placed{&own, place})
	}
	return out
}

func addNames(names []any, v any) []any {
	list, _ := v.([]any)
	for _, name := range list {
		if !slices.ContainsFunc(names, func(n any) bool { return data.Equal(n, name) }) {
			names = append(names, name)
		}
	}
	return names
}

// set takes one argument; a name that is no text is passed over, for the ID.
func (c *Chunk) set(key, value any, at *placing) {
	switch key {
	case "state", "fun": // cannot be given so
	case "name":
		if text, ok := value.(string); ok {
			c.Name = text
		} else {
			c.Name = c.ID
		}
	case "order":
		at.order = value
	default:
		c.Args.Set(key, data.Copy(value))
	}
}

// rename takes an entry of names: a name, or a name with arguments of its own.
func (c *Chunk) rename(entry any, at *placing) {
	own, ok := entry.(*data.Map)
	if !ok {
		c.takeName(entry)
		return
	}
	for name, args := range own.All() {
		c.takeName(name)
		list, _ := args.([]any)
		for _, item := range list {
			m, _ := item.(*data.Map)
			for k, v := range m.All() {
				c.set(k, v, at)
			}
		}
		return
	}
}

func (c *Chunk) takeName(v any) {
	if text, ok := v.(string); ok {
		c.Name = text
		return
	}
	c.BadName = v
}
