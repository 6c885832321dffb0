package pillar

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/pkg/yaml"
)

const base = "base"

// wanted is one target of a top file.
type wanted struct {
	saltenv string
	expr    string
	kind    target.Kind
	order   int64
	names   []chosen
	at      place
}

// place is where something is said, for complaints.
type place struct {
	sls, path string
	node      *yaml.Node
}

// environments are those of the roots, base first.
func (c *compilation) environments(ctx context.Context) []string {
	all, err := c.Files.Environments(ctx)
	if err != nil {
		c.fail(&Error{File: "pillar:top", Message: err.Error(), Err: err})
	}
	all = slices.DeleteFunc(all, func(e string) bool { return e == base })
	all = slices.Insert(all, 0, base)
	if c.Only != "" {
		return slices.DeleteFunc(all, func(e string) bool { return e != c.Only })
	}
	return all
}

// top gives what the top files choose for the minion: the SLS files of each environment, in order and without repetition.
func (c *compilation) top(ctx context.Context) [][]chosen {
	var targets []*wanted
	for _, saltenv := range c.environments(ctx) {
		c.topFile(ctx, "top", saltenv, map[string]bool{}, &targets)
	}
	slices.SortStableFunc(targets, func(a, b *wanted) int { return cmp.Compare(a.order, b.order) })
	var order []string
	byEnv := map[string][]chosen{}
	for _, w := range targets {
		if c.Only != "" && w.saltenv != c.Only || !c.matches(w) {
			continue
		}
		if _, ok := byEnv[w.saltenv]; !ok {
			order = append(order, w.saltenv)
		}
		for _, one := range w.names {
			if !slices.ContainsFunc(byEnv[w.saltenv], func(have chosen) bool { return have.name == one.name }) {
				byEnv[w.saltenv] = append(byEnv[w.saltenv], one)
			}
		}
	}
	out := make([][]chosen, 0, len(order))
	for _, saltenv := range order {
		out = append(out, byEnv[saltenv])
	}
	return out
}

func (c *compilation) matches(w *wanted) bool {
	ok, err := modules.Matches(c.withNodegroups(), w.kind, w.expr, ":", c.env.ID)
	if err != nil {
		c.wrong(w.at.sls, w.at.path, w.at.node.Errorf("%s", err.Error()))
	}
	return ok
}

// topFile reads the top file of an environment, and what it includes. There need not be one.
func (c *compilation) topFile(ctx context.Context, sls, saltenv string, done map[string]bool, into *[]*wanted) {
	if done[sls] {
		return
	}
	done[sls] = true
	doc, path, ok := c.document(ctx, sls, saltenv, nil)
	if !ok {
		if sls != "top" {
			c.fail(&Error{File: "pillar:" + sls, Message: "the top file of " + saltenv + " includes it, but it is not there"})
		}
		return
	}
	if doc == nil {
		return
	}
	if doc.Kind() != yaml.Mapping {
		c.wrong(sls, path, doc.Errorf("a top file maps environments to targets"))
		return
	}
	for _, p := range doc.Pairs() {
		if p.Key.Text() != "include" {
			c.section(place{sls, path, p.Value}, p.Key.Text(), into)
			continue
		}
		for _, more := range p.Value.Items() {
			c.topFile(ctx, more.Text(), saltenv, done, into)
		}
	}
}

// section reads the targets of one environment. The same target in a later top file takes the place of the former.
func (c *compilation) section(at place, saltenv string, into *[]*wanted) {
	if at.node.Kind() != yaml.Mapping {
		c.wrong(at.sls, at.path, at.node.Errorf("the environment %s must map targets to lists of SLS files", saltenv))
		return
	}
	for _, p := range at.node.Pairs() {
		w := &wanted{saltenv: saltenv, expr: modules.Text(p.Key.Data()), at: place{at.sls, at.path, p.Key}}
		if p.Value.Kind() != yaml.Sequence {
			c.wrong(at.sls, at.path, p.Value.Errorf("the target %q must have a list of SLS files", w.expr))
			continue
		}
		c.target(w, p.Value.Items())
		same := slices.IndexFunc(*into, func(have *wanted) bool { return have.saltenv == w.saltenv && have.expr == w.expr })
		if same >= 0 {
			(*into)[same] = w
		} else {
			*into = append(*into, w)
		}
	}
}

func (c *compilation) target(w *wanted, items []*yaml.Node) {
	missing := false
	for _, item := range items {
		if item.Kind() != yaml.Mapping {
			w.names = append(w.names, chosen{saltenv: w.saltenv, name: modules.Text(item.Data())})
			continue
		}
		for _, p := range item.Pairs() {
			switch p.Key.Text() {
			case "match":
				kind, err := target.KindNamed(p.Value.Text())
				if err != nil {
					c.wrong(w.at.sls, w.at.path, p.Value.Errorf("%s", err.Error()))
				}
				w.kind = kind
			case "order":
				w.order, _ = strconv.ParseInt(p.Value.Text(), 10, 64) // as in Salt, what is no number is 0
			case "ignore_missing":
				missing = missing || modules.Truth(p.Value.Data())
			}
		}
	}
	for i := range w.names {
		w.names[i].missing = missing
	}
}
