package compile

import (
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// include is one entry of an SLS's include list.
type include struct {
	env, sls string
	node     *yaml.Node
}

// declared reads what one document declares. Structure inside of IDs is judged later, by verify.
func declared(doc *Document, p *problems) (h *High, includes []include) {
	h = newHigh()
	root := doc.Root
	switch root.Kind() {
	case yaml.Null:
		return h, nil
	case yaml.Mapping:
	default:
		p.add(BadData, doc.SLS, root, "SLS %s is %s; it must be a mapping of IDs", doc.SLS, root.Kind())
		return h, nil
	}
	for _, pair := range root.Pairs() {
		switch name := keyText(pair.Key); name {
		case "include":
			includes = doc.includes(pair.Value, p)
		case "extend":
			doc.extend(h, pair.Value, p)
		case "exclude":
			doc.exclude(h, pair.Value, p)
		default:
			doc.id(h, name, pair, p)
		}
	}
	return h, includes
}

// keyText is a key as Python would print it.
func keyText(n *yaml.Node) string { return modules.Text(n.Data()) }

func (doc *Document) includes(n *yaml.Node, p *problems) (all []include) {
	if n.Kind() != yaml.Sequence {
		p.add(BadData, doc.SLS, n, "the include of SLS %s needs to be formed as a list, not as %s", doc.SLS, n.Kind())
		return nil
	}
	for _, item := range n.Items() {
		switch {
		case item.Kind() == yaml.Scalar:
			all = append(all, include{doc.Env, modules.Text(item.Data()), item})
		case item.Kind() == yaml.Mapping && len(item.Pairs()) == 1:
			pair := item.Pairs()[0]
			all = append(all, include{keyText(pair.Key), modules.Text(pair.Value.Data()), item})
		default:
			p.add(BadData, doc.SLS, item, "an include is the name of an SLS, or {ENVIRONMENT: SLS}; this is %s", item.Kind())
		}
	}
	return all
}

func (doc *Document) id(h *High, name string, pair yaml.Pair, p *problems) {
	if strings.HasPrefix(name, "__") {
		return
	}
	id := &ID{Name: name, SLS: doc.SLS, Env: doc.Env, node: pair.Key}
	if _, isText := pair.Key.Data().(string); !isText {
		p.add(BadData, doc.SLS, pair.Key, "ID '%s' in SLS '%s' is not formed as a string; it may need to be quoted", name, doc.SLS)
	}
	if text, ok := pair.Value.Data().(string); ok && strings.Contains(text, ".") {
		state, fun, _ := strings.Cut(text, ".")
		fun, _, _ = strings.Cut(fun, ".") // as Salt: what comes after a second dot is lost
		id.Decls = []*Decl{{State: state, Args: []Arg{{Fun: fun, node: pair.Value}}, node: pair.Value}}
		h.add(id)
		return
	}
	if pair.Value.Kind() != yaml.Mapping {
		p.add(BadData, doc.SLS, pair.Key, "ID %s in SLS %s is not a dictionary of states, such as \"pkg.installed: []\"", name, doc.SLS)
		return
	}
	id.Decls = doc.decls(name, pair.Value, p)
	h.add(id)
}

// decls reads the states of one ID. A key such as file.managed is the state file with the function managed; as in Salt,
// those come after the others.
func (doc *Document) decls(name string, n *yaml.Node, p *problems) []*Decl {
	var decls, dotted []*Decl
	seen := map[string]bool{}
	for _, pair := range n.Pairs() {
		key := keyText(pair.Key)
		if strings.HasPrefix(key, "_") {
			continue
		}
		d := &Decl{State: key, node: pair.Key}
		if pair.Value.Kind() != yaml.Sequence {
			d.bad = pair.Value.Kind()
		}
		for _, item := range pair.Value.Items() {
			d.Args = append(d.Args, argument(item))
		}
		state, fun, hasDot := strings.Cut(key, ".")
		if hasDot && d.bad == "" {
			d.State = state
			d.Args = append(d.Args, Arg{Fun: fun, node: pair.Key})
		}
		if seen[d.State] && d.bad == "" {
			p.add(BadData, doc.SLS, pair.Key, "ID '%s' in SLS '%s' contains multiple state declarations of the same type, %s; give each an ID of its own",
				name, doc.SLS, d.State)
			continue
		}
		seen[d.State] = true
		if hasDot {
			dotted = append(dotted, d)
		} else {
			decls = append(decls, d)
		}
	}
	return append(decls, dotted...)
}

func argument(n *yaml.Node) Arg {
	switch v := n.Data().(type) {
	case string:
		return Arg{Fun: v, node: n}
	case *data.Map:
		if v.Len() > 0 {
			return Arg{Map: v, node: n}
		}
	}
	return Arg{none: true, node: n}
}

func (doc *Document) extend(h *High, n *yaml.Node, p *problems) {
	if n.Kind() != yaml.Mapping {
		p.add(BadData, doc.SLS, n, "the extend of SLS %s needs to be a dictionary of IDs, not %s", doc.SLS, n.Kind())
		return
	}
	for _, pair := range n.Pairs() {
		name := keyText(pair.Key)
		if pair.Value.Kind() != yaml.Mapping {
			p.add(BadData, doc.SLS, pair.Key, "extend of %s in SLS %s needs to be a dictionary of states, not %s", name, doc.SLS, pair.Value.Kind())
			continue
		}
		h.extends = append(h.extends, &ID{
			Name: name, SLS: doc.SLS, Env: doc.Env, node: pair.Key,
			Decls: doc.decls(name, pair.Value, p),
		})
	}
}

func (doc *Document) exclude(h *High, n *yaml.Node, p *problems) {
	if n.Kind() != yaml.Sequence {
		p.add(BadData, doc.SLS, n, "the exclude of SLS %s needs to be formed as a list, not as %s", doc.SLS, n.Kind())
		return
	}
	for _, item := range n.Items() {
		h.exclude = append(h.exclude, exclusions(item.Data())...)
	}
}

// exclusions reads an entry of exclude: the name of an SLS, {sls: NAME} or {id: NAME}.
func exclusions(v any) []exclusion {
	switch v := v.(type) {
	case string:
		return []exclusion{{sls: v, raw: v}}
	case *data.Map:
		if sls, ok := v.Get("sls"); ok {
			return []exclusion{{sls: modules.Text(sls), raw: v}}
		}
		if id, ok := v.Get("id"); ok {
			return []exclusion{{id: modules.Text(id), raw: v}}
		}
	}
	return nil
}
