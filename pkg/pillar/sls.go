package pillar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// fileLimit bounds one file.
const fileLimit = 8 << 20

// withNodegroups is env with the nodegroups among its options, where matchers look for them.
func (c *compilation) withNodegroups() *modules.Env {
	if c.Nodegroups == nil {
		return c.env
	}
	env := *c.env
	env.Opts = data.Merge(env.Opts, data.NewMap("nodegroups", data.From(map[string]any(c.Nodegroups))), data.Overwrite, false)
	return &env
}

// read finds an SLS: a.b is a/b.sls, else a/b/init.sls.
func (c *compilation) read(ctx context.Context, sls, saltenv string) (text, path string, err error) {
	at := strings.ReplaceAll(sls, ".", "/")
	for _, path = range []string{at + ".sls", at + "/init.sls"} {
		f, _, err := c.Files.Open(ctx, saltenv, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", path, err
		}
		all, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
		if err = errors.Join(err, f.Close()); err == nil && len(all) > fileLimit {
			err = fmt.Errorf("it has more than %d bytes", fileLimit)
		}
		return string(all), path, err
	}
	return "", "", fs.ErrNotExist
}

// document renders an SLS. It is not ok when there is no such file; the document is nil when it is empty or has errors.
func (c *compilation) document(ctx context.Context, sls, saltenv string, vars *data.Map) (doc *yaml.Node, path string, ok bool) {
	text, path, err := c.read(ctx, sls, saltenv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", false
	}
	if err == nil {
		rendering := c.render
		if rendering == nil {
			rendering = renderSLS
		}
		doc, err = rendering(ctx, c.env, render.Source{File: path, Text: text, SLS: sls, Saltenv: saltenv}, vars)
	}
	if err != nil {
		c.failed(sls, path, err)
		return nil, path, true
	}
	if doc.Kind() == yaml.Null {
		return nil, path, true
	}
	return doc, path, true
}

func renderSLS(ctx context.Context, env *modules.Env, src render.Source, vars *data.Map) (*yaml.Node, error) {
	_, doc, err := (&render.Renderer{Env: env}).SLS(ctx, src, vars)
	return doc, err
}

// file gives the values of one SLS with those of what it includes; nil when it has none. mods are the own values of the
// files of this environment that were read.
func (c *compilation) file(ctx context.Context, of chosen, mods map[string]*data.Map, vars *data.Map) *data.Map {
	doc, path, ok := c.document(ctx, of.name, of.saltenv, vars)
	mods[of.name] = nil
	switch {
	case !ok && of.missing, !ok && !c.has(ctx, of.saltenv):
		return nil
	case !ok:
		c.fail(&Error{File: "pillar:" + of.name, Message: fmt.Sprintf("SLS %s is not in the environment %s", of.name, of.saltenv), Err: fs.ErrNotExist})
		return nil
	case doc == nil:
		return nil
	case doc.Kind() != yaml.Mapping:
		c.wrong(of.name, path, doc.Errorf("a pillar SLS must be a mapping"))
		return nil
	}
	own := doc.Without("include").Data().(*data.Map)
	c.decrypt(place{of.name, path, doc}, own)
	mods[of.name] = own
	includes := doc.Get("include")
	if includes == nil {
		return own
	}
	if includes.Kind() != yaml.Sequence {
		c.wrong(of.name, path, includes.Errorf("include must be a list"))
		return own
	}
	var below []*data.Map
	for _, item := range includes.Items() {
		below = append(below, c.include(ctx, place{of.name, path, item}, of.saltenv, mods, vars)...)
	}
	if c.IncludesOverride {
		return c.merge(append([]*data.Map{own}, below...))
	}
	return c.merge(append(below, own))
}

func (c *compilation) merge(all []*data.Map) *data.Map {
	out := all[0]
	for _, m := range all[1:] {
		out = data.Merge(out, m, c.Strategy, c.Lists)
	}
	return out
}

// has says whether there is such an environment. As in Salt, a top file may name others, which give nothing.
func (c *compilation) has(ctx context.Context, saltenv string) bool {
	all, err := c.Files.Environments(ctx)
	return err != nil || slices.Contains(all, saltenv)
}

// include gives the values of what one line of an include means: a name, or a name with the key that they are put below and
// further names that templates see.
func (c *compilation) include(ctx context.Context, at place, saltenv string, mods map[string]*data.Map, vars *data.Map) []*data.Map {
	name, key := at.node.Text(), ""
	if at.node.Kind() == yaml.Mapping && len(at.node.Pairs()) > 0 {
		how := at.node.Pairs()[0]
		name = how.Key.Text()
		if k := how.Value.Get("key"); k != nil {
			key = k.Text()
		}
		if d := how.Value.Get("defaults"); d != nil {
			vars, _ = d.Data().(*data.Map)
		}
	}
	if name == "" {
		c.wrong(at.sls, at.path, at.node.Errorf("an include is the name of an SLS"))
		return nil
	}
	var out []*data.Map
	for _, one := range c.expand(ctx, []chosen{{saltenv: saltenv, name: relative(name, at)}}) {
		got, known := mods[one.name]
		if !known {
			got = c.file(ctx, one, mods, vars)
		}
		if got != nil {
			out = append(out, under(key, got))
		}
	}
	return out
}

// relative resolves the leading dots of an include: one is the including file's own directory, each further one that above.
func relative(name string, at place) string {
	name = strings.ReplaceAll(name, "/", ".")
	rest := strings.TrimLeft(name, ".")
	up := len(name) - len(rest)
	if up == 0 {
		return name
	}
	parts := strings.Split(at.sls, ".")
	if strings.HasSuffix(at.path, "/init.sls") {
		up--
	}
	parts = parts[:max(0, len(parts)-up)]
	return strings.Join(append(parts, rest), ".")
}

// under puts values below a key like a:b.
func under(key string, values *data.Map) *data.Map {
	if key == "" {
		return values
	}
	parts := strings.Split(key, ":")
	for _, part := range slices.Backward(parts) {
		values = data.NewMap(part, values)
	}
	return values
}

// decrypt puts the plain text in the place of encrypted values.
func (c *compilation) decrypt(at place, values *data.Map) {
	for key, v := range values.All() {
		values.Set(key, c.plain(at, modules.Text(key), v))
	}
}

func (c *compilation) plain(at place, key string, v any) any {
	switch v := v.(type) {
	case *data.Map:
		for k, inner := range v.All() {
			v.Set(k, c.plain(at, key+":"+modules.Text(k), inner))
		}
	case []any:
		for i := range v {
			v[i] = c.plain(at, fmt.Sprintf("%s:%d", key, i), v[i])
		}
	case string:
		if !archive.Encrypted(v) {
			return v
		}
		if c.Decrypt == nil {
			c.fail(&Error{File: "pillar:" + at.sls, Path: at.path, Message: key + " is encrypted, and there is no identity to open it here"})
			return nil
		}
		text, err := c.Decrypt(v)
		if err != nil {
			c.fail(&Error{File: "pillar:" + at.sls, Path: at.path, Message: key + ": " + err.Error(), Err: err})
			return nil
		}
		return text
	}
	return v
}
