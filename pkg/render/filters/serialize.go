package filters

import (
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/pyyaml"
	"github.com/brine-deploy/brine/pkg/yaml"
)

func serializing() table {
	return table{
		"yaml": filter("value flow_style?", func(c *jinja.Call, b py.Bound) any {
			return dumped(c, b[0], b.Bool(c.Run, 1, true))
		}),
		"json": filter("value sort_keys? indent?", func(c *jinja.Call, b py.Bound) any {
			style := jinja.JSONStyle{Indent: -1, Sorted: b.Bool(c.Run, 1, true)}
			if v := b.Or(2, nil); v != nil {
				style.Indent = py.Index(v)
			}
			return py.Markup(jinja.JSON(c.Run, b[0], style))
		}),
		"tojson": filter("val indent? sort_keys? ensure_ascii?", func(c *jinja.Call, b py.Bound) any {
			style := jinja.JSONStyle{Indent: -1, Sorted: b.Bool(c.Run, 2, false), ASCII: b.Bool(c.Run, 3, true)}
			if v := b.Or(1, nil); v != nil {
				style.Indent = py.Index(v)
			}
			return forHTML.Replace(jinja.JSON(c.Run, b[0], style))
		}),
		"python": filter("value", func(c *jinja.Call, b py.Bound) any { return py.Markup(jinja.Pretty(c.Run, b[0])) }),
		"xml":    filter("value", func(c *jinja.Call, b py.Bound) any { return py.Markup(xml(c, b[0])) }),
		"dict_to_sls_yaml_params": filter("value flow_style?", func(c *jinja.Call, b py.Bound) any {
			d, ok := b[0].(*py.Dict)
			if !ok {
				py.Raise("AttributeError", "'%s' object has no attribute 'items'", py.TypeOf(b[0]))
			}
			params := &py.List{}
			d.Pairs(func(k, v any) {
				c.Elements(8)
				params.Items = append(params.Items, py.NewDict(k, v))
			})
			return dumped(c, params, b.Bool(c.Run, 1, false))
		}),
		"yaml_dquote": filter("text", func(c *jinja.Call, b py.Bound) any { return quoted(c, b[0], pyyaml.Double) }),
		"yaml_squote": filter("text", func(c *jinja.Call, b py.Bound) any { return quoted(c, b[0], pyyaml.Single) }),
		"yaml_encode": filter("data", func(c *jinja.Call, b py.Bound) any {
			text, isText, ok := pyyaml.Scalar(py.ToData(c.Run, b[0]))
			switch {
			case !ok:
				py.Raise("TypeError", "yaml_encode() only works with YAML scalar data; failed for <class '%s'>", py.TypeOf(b[0]))
			case isText:
				return quoted(c, text, pyyaml.Double)
			}
			return text
		}),
		"load_yaml": filter("value", loadYAML),
		"load_json": filter("value", func(c *jinja.Call, b py.Bound) any {
			text := py.Str(c.Run, b[0])
			c.Alloc(4 * len(text))
			v, err := data.FromJSON([]byte(text))
			if err != nil {
				py.Raise(py.RuntimeError, "Unable to load json from %s: %v", text, err)
			}
			return py.FromData(c.Run, v)
		}),
		"load_text": filter("value", func(_ *jinja.Call, b py.Bound) any { return b[0] }),
	}
}

var forHTML = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`)

func quoted(c *jinja.Call, v any, quote func(string) string) any {
	text := py.Str(c.Run, v)
	c.Alloc(10 * len(text))
	return quote(text)
}

func dumped(c *jinja.Call, v any, flow bool) any {
	text := strings.TrimSpace(pyyaml.Dump(py.ToData(c.Run, v), pyyaml.Style{Flow: flow}))
	c.Alloc(len(text))
	return py.Markup(strings.TrimSuffix(text, "\n..."))
}

// loadYAML reads YAML as Salt does. Of what is wrong with it Salt 3006 tells nothing but a mistake of its own, whose words
// we keep for those who look for them.
func loadYAML(c *jinja.Call, b py.Bound) any {
	text, ok := py.Text(b[0])
	if !ok {
		py.Raise(py.RuntimeError, "Unable to load yaml from %s", py.Str(c.Run, b[0]))
	}
	c.Alloc(8 * len(text))
	doc, err := yaml.Salt("", []byte(text))
	if err == nil {
		return py.FromData(c.Run, doc.Data())
	}
	message := err.Error()
	if all, ok := errors.AsType[yaml.Errors](err); ok {
		e := all[0]
		message = fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Message, e.Source)
	}
	panic(&py.Exception{
		Kind: "AttributeError", Err: err,
		Message: "load YAML: " + message + " (Salt says: 'NoneType' object has no attribute 'splitlines')",
	})
}

// xml writes nested mappings as elements, their scalars as attributes, as Salt does.
func xml(c *jinja.Call, v any) string {
	d, ok := v.(*py.Dict)
	if !ok {
		py.Raise(py.RuntimeError, "Value is not a dict or list. Cannot render as XML")
	}
	w := &xmlWriter{c: c}
	var root *element
	for _, tag := range d.Keys() {
		value, _ := d.Get(tag)
		root = w.tree(py.Str(c.Run, tag), value, nil, 0)
	}
	w.b.WriteString("<?xml version=\"1.0\" ?>\n")
	if root != nil {
		w.print(root, 0)
	}
	return w.b.String()
}

type element struct {
	tag, text string
	attrs     []string
	children  []*element
}

type xmlWriter struct {
	c *jinja.Call
	b strings.Builder
}

func (w *xmlWriter) tree(tag string, v any, parent *element, depth int) *element {
	w.c.Step(1)
	if depth > 100 {
		py.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	if l, ok := v.(*py.List); ok {
		for _, item := range l.Items {
			w.tree(tag, item, parent, depth+1)
		}
		return parent
	}
	e := &element{tag: tag}
	if parent != nil {
		parent.children = append(parent.children, e)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		e.text = py.Str(w.c.Run, v)
		return e
	}
	for _, k := range d.Keys() {
		value, _ := d.Get(k)
		switch value.(type) {
		case *py.Dict, *py.List:
			w.tree(py.Str(w.c.Run, k), value, e, depth+1)
		default:
			e.attrs = append(e.attrs, " "+py.Str(w.c.Run, k)+`="`+escapeXML(py.Str(w.c.Run, value))+`"`)
		}
	}
	return e
}

func escapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", ">", "&gt;").Replace(s)
}

func (w *xmlWriter) print(e *element, depth int) {
	indent := strings.Repeat(" ", depth)
	open := indent + "<" + e.tag + strings.Join(e.attrs, "")
	w.c.Alloc(2*len(open) + len(e.text))
	switch {
	case len(e.children) > 0:
		w.b.WriteString(open + ">\n")
		for _, child := range e.children {
			w.print(child, depth+1)
		}
		w.b.WriteString(indent + "</" + e.tag + ">\n")
	case e.text != "":
		w.b.WriteString(open + ">" + escapeXML(e.text) + "</" + e.tag + ">\n")
	default:
		w.b.WriteString(open + "/>\n")
	}
}
