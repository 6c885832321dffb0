package jinja

import (
	"maps"
	"slices"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

// scope has the names of a loop, a macro, a with or a block.
type scope struct {
	up   *scope
	vars []variable
}

type variable struct {
	name  string
	value any
}

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.up {
		for i := range s.vars {
			if s.vars[i].name == name {
				return s.vars[i].value, true
			}
		}
	}
	return nil, false
}

// has reports whether the scope itself has a name.
func (s *scope) has(name string) bool {
	return slices.ContainsFunc(s.vars, func(v variable) bool { return v.name == name })
}

func (s *scope) set(name string, v any) {
	for i := range s.vars {
		if s.vars[i].name == name {
			s.vars[i].value = v
			return
		}
	}
	if s.vars == nil {
		s.vars = make([]variable, 0, 3)
	}
	s.vars = append(s.vars, variable{name, v})
}

// layer has names that a template gets from outside.
type layer struct {
	vars map[string]any
	up   *layer
}

func (l *layer) get(name string) (any, bool) {
	for ; l != nil; l = l.up {
		v, ok := l.vars[name]
		if !ok {
			continue
		}
		if late, isLate := v.(func() any); isLate {
			v = late()
			l.vars[name] = v
		}
		return v, true
	}
	return nil, false
}

// vars are what a template sets at its top. It is also what blocks and parents see.
type vars struct {
	layer
	exported []string
	blocks   map[string][]block // the child's first
	extends  *template          // the parent, once it is known
}

// block is one that a template of the family defines.
type block struct {
	*syntax.Block
	of *template
}

func newContext(t *template, from *layer) *vars {
	v := &vars{layer: layer{vars: map[string]any{}, up: from}, blocks: map[string][]block{}}
	v.family(t)
	return v
}

// family adds the blocks of a template behind those of its children.
func (v *vars) family(t *template) {
	for _, b := range t.Blocks {
		v.blocks[b.Name] = append(v.blocks[b.Name], block{b, t})
	}
}

// frame is where a statement runs.
type frame struct {
	of    *template
	ctx   *vars
	scope *scope // nil at the top
	// silent says that nothing is printed once the template has a parent.
	silent bool
	block  string // the one being rendered
	level  int    // in its family
}

// inner makes a frame with names of its own.
func (f *frame) inner() *frame {
	in := *f
	in.scope = &scope{up: f.scope}
	return &in
}

// locals gives a layer of all that is set here, for included templates and scoped blocks.
func (f *frame) locals() *layer {
	up := &layer{vars: maps.Clone(f.ctx.vars), up: f.ctx.up}
	if f.scope == nil {
		return up
	}
	all := map[string]any{}
	for s := f.scope; s != nil; s = s.up {
		for _, v := range s.vars {
			if _, shadowed := all[v.name]; !shadowed {
				all[v.name] = v.value
			}
		}
	}
	return &layer{vars: all, up: up}
}

func (in *interp) set(f *frame, name string, v any, export bool) {
	if f.scope != nil {
		f.scope.set(name, v)
		return
	}
	in.Alloc(64)
	f.ctx.vars[name] = v
	i := slices.Index(f.ctx.exported, name)
	switch {
	case export && name[0] != '_' && i < 0:
		f.ctx.exported = append(f.ctx.exported, name)
	case !export && i >= 0:
		f.ctx.exported = slices.Delete(f.ctx.exported, i, i+1)
	}
}

func (in *interp) lookup(f *frame, name string) any {
	if v, ok := f.scope.get(name); ok {
		return v
	}
	if v, ok := f.ctx.get(name); ok {
		return v
	}
	switch name {
	case "self":
		return &selfRef{in, f}
	case "super":
		if f.block != "" {
			return in.super(f)
		}
	}
	return in.undefined("'%s' is undefined", name)
}

func (in *interp) undefined(format string, args ...any) *py.Undefined {
	return &py.Undefined{Message: sprintf(format, args...), Lenient: in.env.Lenient}
}

// Names gives all that the calling template sees, without names that only Jinja knows.
func (c *Call) Names() func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		seen := map[string]bool{}
		for l := c.frame.locals(); l != nil; l = l.up {
			for _, name := range slices.Sorted(maps.Keys(l.vars)) {
				v, _ := l.get(name)
				if !seen[name] && !yield(name, v) {
					return
				}
				seen[name] = true
			}
		}
	}
}
