package render

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// functions is salt: execution functions by name, or by family and name.
type functions struct {
	env    *modules.Env
	family string // empty for all
}

// TypeName is Salt's.
func (f *functions) TypeName() string {
	if f.family != "" {
		return "salt.loader.lazy." + f.family
	}
	return "salt.utils.templates.AliasedLoader"
}

// Index gives a function.
func (f *functions) Index(_ *py.Run, key any) (any, bool) {
	name, ok := py.Text(key)
	if !ok {
		return nil, false
	}
	return f.get(name)
}

// Attr gives a function or a family.
func (f *functions) Attr(_ *py.Run, name string) (any, bool) {
	if v, ok := f.get(name); ok {
		return v, true
	}
	if f.family == "" && (name == "get" || name == "keys") {
		return &py.Func{Name: name, Fn: func(r *py.Run, args []any, kw []py.Kw) any {
			if name == "keys" {
				return &py.List{Items: py.Collect(r, f)}
			}
			b := py.Bind(name, []string{"key", "default?"}, args, kw)
			if v, ok := f.Index(r, b[0]); ok {
				return v
			}
			return b.Or(1, nil)
		}}, true
	}
	return nil, false
}

func (f *functions) get(name string) (any, bool) {
	if f.family != "" {
		name = f.family + "." + name
	}
	if _, ok := f.env.Functions[name]; ok {
		return &function{f.env, name}, true
	}
	if f.family == "" && !strings.Contains(name, ".") {
		for known := range f.env.Functions {
			if strings.HasPrefix(known, name+".") {
				return &functions{f.env, name}, true
			}
		}
	}
	return nil, false
}

// Contains reports whether there is a function.
func (f *functions) Contains(_ *py.Run, v any) bool {
	name, _ := py.Text(v)
	_, ok := f.env.Functions[name]
	return ok
}

// Iterate gives the names of all functions.
func (f *functions) Iterate(r *py.Run) py.Iter {
	names := slices.Sorted(maps.Keys(f.env.Functions))
	items := make(py.Tuple, len(names))
	for i, n := range names {
		items[i] = n
	}
	return py.Walk(r, items)
}

// function is one execution function.
type function struct {
	env  *modules.Env
	name string
}

// TypeName is Salt's.
func (f *function) TypeName() string { return "salt.loader.lazy.LoadedFunc" }

// Call runs it.
func (f *function) Call(r *py.Run, args []any, kw []py.Kw) any {
	r.Step(1000)
	in := make([]any, len(args))
	for i, a := range args {
		in[i] = py.ToData(r, a)
	}
	named := &data.Map{}
	for _, k := range kw {
		named.Set(k.Name, py.ToData(r, k.Value))
	}
	out, err := modules.Call(r.Context(), f.env, f.name, in, named)
	if err == nil {
		return changed(args, in, py.FromData(r, out), out)
	}
	kind := py.FunctionError
	if errors.Is(err, modules.ErrArguments) {
		kind = "TypeError"
	}
	panic(&py.Exception{Kind: kind, Message: err.Error(), Err: err})
}

// changed gives what a function returned. One that gave back its first argument has changed it, and so changes the
// template's dict: salt['defaults.merge'](a, b) and the like do that.
func changed(args, in []any, result, out any) any {
	given, _ := out.(*data.Map)
	if given == nil || len(in) == 0 {
		return result
	}
	first, isMap := in[0].(*data.Map)
	own, isDict := args[0].(*py.Dict)
	now, ok := result.(*py.Dict)
	if !isMap || first != given || !isDict || !ok {
		return result
	}
	now.Pairs(own.Set)
	return own
}

var raise = jinja.Builtin{Params: []string{"msg"}, Run: func(c *jinja.Call, b py.Bound) any {
	py.Raise("TemplateError", "%s", py.Str(c.Run, b[0]))
	return nil
}}

var showContext = jinja.Builtin{Run: func(c *jinja.Call, _ py.Bound) any {
	d := &py.Dict{}
	for name, v := range c.Names() {
		switch v.(type) {
		case nil, bool, int64, float64, string, *py.Dict, *py.List, py.Tuple:
			d.Set(name, v)
		default:
			d.Set(name, "<"+py.TypeOf(v)+">")
		}
	}
	return d
}}
