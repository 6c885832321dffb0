package config

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/exclude"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// appCheck looks for what is wrong with an application beyond its form.
type appCheck struct {
	AppChecks
	app    fleet.Application
	root   *yaml.Node
	broken bool // the form is wrong: what is missing may only be mistyped, and is not told
	errs   []error
}

// fail complains at the first of places that the file has.
func (c *appCheck) fail(message string, places ...*yaml.Node) {
	for _, n := range append(places, c.root) {
		if n != nil {
			c.errs = append(c.errs, n.Errorf("%s", message))
			return
		}
	}
}

func (c *appCheck) missing(what string, places ...*yaml.Node) {
	if !c.broken {
		c.fail(what, places...)
	}
}

func (c *appCheck) all() {
	if err := validName(string(c.app.Name)); err != nil {
		c.fail("name: "+err.Error(), c.root.Get("name"))
	}
	c.source()
	c.build()
	c.freezes(c.root.Get("freeze"), c.app.Freeze)
	groups := c.root.Get("groups")
	if len(groups.Pairs()) == 0 {
		c.missing("no groups: an application needs at least one deployment group", groups)
	}
	for _, p := range groups.Pairs() {
		if err := validName(p.Key.Text()); err != nil {
			c.fail("group: "+err.Error(), p.Key)
		}
		if g := c.app.Groups[fleet.GroupName(p.Key.Text())]; g != nil {
			c.group(p.Key, p.Value, g)
		} else {
			c.missing("the group is empty", p.Key)
		}
	}
}

func (c *appCheck) source() {
	src := c.root.Get("source")
	if c.app.Source.URL == "" {
		c.missing("source.url is missing", src.Get("url"), src)
	}
	if c.Sources != nil && c.app.Source.Type != "" {
		if err := oneOf(c.Sources...)(c.app.Source.Type); err != nil {
			c.fail("source.type: "+err.Error(), src.Get("type"))
		}
	}
}

func (c *appCheck) build() {
	for i, node := range c.root.Get("build", "steps").Items() {
		if i >= len(c.app.Build.Steps) {
			return
		}
		step := c.app.Build.Steps[i]
		switch {
		case step.Run == "" && len(step.Argv) == 0:
			c.missing("the build step needs run (a shell command) or argv (a list)", node)
		case step.Run != "" && len(step.Argv) > 0:
			c.fail("the build step has run and argv; keep one", node.Get("argv"))
		}
	}
}

func (c *appCheck) group(key, node *yaml.Node, g *fleet.Group) {
	if g.Target == "" {
		c.missing("the group has no target", node.Get("target"), key)
	} else if c.Target != nil {
		if err := c.Target(g.Target); err != nil {
			c.fail("target: "+err.Error(), node.Get("target"), key)
		}
	}
	c.layout(key, node, g)
	c.paths(key, node, g)
	if g.Keep < 0 {
		c.fail("keep must not be negative", node.Get("keep"))
	}
	c.strategy(node.Get("strategy"), g.Strategy)
	c.freezes(node.Get("freeze"), g.Freeze)
	if g.Balancer != nil {
		c.pool(node.Get("balancer"), g.Balancer)
	}
}

// layouts are those that minions know.
func layouts() []string { return []string{"releases", "copy", "appspec"} }

func (c *appCheck) exists(at *yaml.Node, g *fleet.Group) {
	if g.Layout != "appspec" {
		c.fail("file_exists_behavior has a meaning with layout appspec only", at)
	}
	if err := oneOf("DISALLOW", "OVERWRITE", "RETAIN")(g.Exists); err != nil {
		c.fail("file_exists_behavior: "+err.Error(), at)
	}
}

func (c *appCheck) layout(key, node *yaml.Node, g *fleet.Group) {
	if g.Layout != "" {
		if err := oneOf(layouts()...)(g.Layout); err != nil {
			c.fail("layout: "+err.Error(), node.Get("layout"), key)
		}
	}
	if g.Layout == "copy" && len(g.Shared) > 0 {
		c.fail("shared has no meaning with layout copy: name the paths in copy.exclude, which keeps them", node.Get("shared"))
	}
	if g.Layout == "appspec" && len(g.Shared) > 0 {
		c.fail("shared has no meaning with layout appspec: the section files of appspec.yml says what goes where", node.Get("shared"))
	}
	if g.Exists != "" {
		c.exists(node.Get("file_exists_behavior"), g)
	}
	for i, at := range node.Get("secrets").Items() {
		if i < len(g.Secrets) && g.Env[g.Secrets[i]] == "" {
			c.fail("secrets: the name of a variable in env is wanted", at)
		}
	}
	if g.Copy == nil {
		return
	}
	at := node.Get("copy")
	if g.Layout != "copy" {
		c.fail("copy has a meaning with layout copy only", at)
	}
	for i, pattern := range at.Get("exclude").Items() {
		if i >= len(g.Copy.Exclude) {
			return
		}
		if err := exclude.Check(g.Copy.Exclude[i]); err != nil {
			c.fail("copy.exclude: "+err.Error(), pattern)
		}
	}
}

func (c *appCheck) paths(key, node *yaml.Node, g *fleet.Group) {
	switch at := node.Get("root"); {
	case g.Root == "":
		c.missing("the group has no root, the directory on the minion", at, key)
	case !path.IsAbs(g.Root) || path.Clean(g.Root) == "/" || strings.Contains(g.Root+"/", "/../"):
		c.fail("root must be an absolute path below / and without ..", at, key)
	}
	for i, at := range node.Get("shared").Items() {
		if i < len(g.Shared) && (!filepath.IsLocal(g.Shared[i]) || path.Clean(g.Shared[i]) == ".") {
			c.fail("shared: a path inside the release is wanted", at)
		}
	}
	if g.Hooks != "" && !filepath.IsLocal(g.Hooks) {
		c.fail("hooks: a directory inside the archive is wanted", node.Get("hooks"), key)
	}
}

func (c *appCheck) pool(node *yaml.Node, p *fleet.PoolSpec) {
	if p.Use == "" {
		c.missing("balancer.use is missing: the name of a balancer in master.yml", node.Get("use"), node)
	} else if err := oneOf(c.Balancers...)(p.Use); err != nil {
		c.fail("balancer.use: "+err.Error(), node.Get("use"), node)
	}
	if p.Pool == "" {
		c.missing("balancer.pool is missing: the name of the backend or target group", node.Get("pool"), node)
	}
}
