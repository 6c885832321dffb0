package run

import (
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/target"
	"github.com/brine-deploy/brine/states/state"
)

// kinds are the requisites that decide whether a state runs, in the order in which they are met.
var kinds = []string{
	"require", "require_any", "watch", "watch_any", "prereq", "onfail", "onfail_any", "onfail_all", "onchanges",
	"onchanges_any", "prerequired",
}

// links finds the chunks that requisites mean.
type links struct {
	all    []*chunk
	byName map[string][]*chunk // by name, and by ID where that is another
	bySLS  map[string][]*chunk
}

func newLinks(all []*chunk) *links {
	l := &links{all: all, byName: map[string][]*chunk{}, bySLS: map[string][]*chunk{}}
	for _, c := range all {
		l.byName[c.Name] = append(l.byName[c.Name], c)
		if c.ID != c.Name {
			l.byName[c.ID] = append(l.byName[c.ID], c)
		}
		l.bySLS[c.SLS] = append(l.bySLS[c.SLS], c)
	}
	return l
}

type lost struct {
	kind  string
	state string
	name  any
}

// resolve finds what a chunk's requisites mean, once.
func (l *links) resolve(c *chunk) {
	if c.linked {
		return
	}
	c.linked, c.reqs = true, map[string][]*chunk{}
	for _, kind := range kinds {
		v, _ := c.Args.Get(kind)
		list, _ := v.([]any)
		for _, item := range list {
			stateName, name := requirement(item)
			if name == nil {
				continue
			}
			found := l.find(stateName, name)
			if found == nil {
				c.lost = append(c.lost, lost{kind, stateName, name})
			}
			c.reqs[kind] = append(c.reqs[kind], found...)
		}
	}
}

// requirement reads an item of a requisite: {STATE: NAME}, or an ID alone.
func requirement(item any) (stateName string, name any) {
	m, ok := item.(*data.Map)
	if !ok {
		return "id", item
	}
	for k, v := range m.All() {
		key, _, _ := strings.Cut(modules.Text(k), ".")
		return key, v
	}
	return "", nil
}

func (l *links) find(stateName string, name any) (found []*chunk) {
	text := modules.Text(name)
	among := l.byName[text]
	if stateName == "sls" {
		among = l.bySLS[text]
	}
	if strings.ContainsAny(text, "*?[") {
		among = l.globbed(stateName, text)
	}
	for _, c := range among {
		if stateName == "id" || stateName == "sls" || c.State == stateName {
			found = append(found, c)
		}
	}
	return found
}

func (l *links) globbed(stateName, pattern string) (found []*chunk) {
	fixed := pattern[:strings.IndexAny(pattern, "*?[")] // spares most of the globbing
	matches := func(text string) bool {
		return strings.HasPrefix(text, fixed) && (text == pattern || target.Glob(pattern, text))
	}
	for _, c := range l.all {
		if stateName == "sls" && matches(c.SLS) || stateName != "sls" && (matches(c.Name) || matches(c.ID)) {
			found = append(found, c)
		}
	}
	return found
}

func missing(all []lost) string {
	var b strings.Builder
	b.WriteString("The following requisites were not found:\n")
	kind := ""
	for _, l := range all {
		if l.kind != kind {
			fmt.Fprintf(&b, "%19s%s:\n", "", l.kind)
			kind = l.kind
		}
		fmt.Fprintf(&b, "%23s%s: %s\n", "", l.state, modules.Text(l.name))
	}
	return b.String()
}

// status is what a state's requisites say of it.
type status int

const (
	met     status = iota
	unmet          // something has not run yet
	failed         // something failed
	changed        // something watched changed
	preUnmet
	onfailUnmet
	onchangesUnmet
)

// marks are what was seen among the states of requisites; their names are Salt's.
type marks struct {
	unmet, fail, onfail, onchanges, onchangesMet, change, pre, premet, met bool
}

func (m *marks) add(o marks) {
	m.unmet = m.unmet || o.unmet
	m.fail = m.fail || o.fail
	m.onfail = m.onfail || o.onfail
	m.onchanges = m.onchanges || o.onchanges
	m.onchangesMet = m.onchangesMet || o.onchangesMet
	m.change = m.change || o.change
	m.pre = m.pre || o.pre
	m.premet = m.premet || o.premet
	m.met = m.met || o.met
}

// status looks at what came of the states that c requires.
func (r *Runner) status(c *chunk) status {
	if len(c.lost) > 0 {
		return unmet
	}
	var all marks
	for _, kind := range kinds {
		if kind == "prerequired" && c.prereq {
			continue
		}
		as := kind
		if strings.HasPrefix(kind, "watch") && !r.watches(c.State) {
			as = strings.Replace(kind, "watch", "require", 1)
		}
		all.add(r.marks(as, c.reqs[kind]))
	}
	switch {
	case all.unmet:
		return unmet
	case all.fail:
		return failed
	case all.pre && !all.premet:
		return preUnmet
	case all.pre:
		return met
	case all.onfail && !all.onchangesMet:
		return onfailUnmet
	case all.onchanges && !all.onchangesMet:
		return onchangesUnmet
	case all.change:
		return changed
	case all.onfail:
		return onfailUnmet
	}
	return met
}

func (r *Runner) marks(kind string, reqs []*chunk) (m marks) {
	results := r.running
	if kind == "prereq" {
		results = r.pre
	}
	for _, req := range reqs {
		if res := results[tagOf(req.Chunk)]; res == nil {
			m.unmet = true
		} else {
			r.wait(res)
			m.add(mark(kind, res))
		}
	}
	if strings.HasSuffix(kind, "_any") || kind == "onfail" {
		m.fail = m.fail && !m.met && !m.change && !m.onchangesMet
		m.onchanges = m.onchanges && !m.onchangesMet
		m.onfail = m.onfail && !m.met
	}
	if strings.HasSuffix(kind, "_all") && m.onfail {
		m.met = false
	}
	return m
}

// mark is what one result says to a requisite.
func mark(kind string, res *Result) marks {
	base, _, _ := strings.Cut(kind, "_")
	switch {
	case base == "onfail" && res.Verdict == state.True:
		return marks{onfail: true}
	case base != "onfail" && res.Verdict == state.False:
		return marks{fail: true}
	case base == "onchanges":
		return marks{onchanges: !res.Changed(), onchangesMet: res.Changed()}
	case base == "watch" && res.Changed():
		return marks{change: true}
	case base == "prereq" && res.Verdict == state.Pending:
		return marks{premet: true, met: res.ran}
	case base == "prereq":
		return marks{pre: true}
	}
	return marks{met: res.ran}
}

func (c *chunk) has(arg string) bool {
	v, _ := c.Args.Get(arg)
	return v != nil
}

// wait waits for a parallel state.
func (r *Runner) wait(res *Result) {
	if res.done != nil {
		<-res.done
	}
}

// watches reports whether a family does anything for watch; for others watch is require.
func (r *Runner) watches(family string) bool {
	for _, f := range r.Families[family] {
		if f.Watch != nil {
			return true
		}
	}
	return false
}

func (r *Runner) watchable(c *chunk) bool { return r.Families[c.State][c.Fun].Watch != nil }

// watching is c as it is called for its watch.
func (c *chunk) watching() *chunk {
	w := *c
	w.watched = true
	return &w
}

// required are the chunks that c requires, for functions that ask.
func (c *chunk) required() (all []state.Required) {
	for _, kind := range []string{"require", "require_any"} {
		for _, req := range c.reqs[kind] {
			all = append(all, state.Required{State: req.State, Function: req.Fun, Name: req.Name, Args: own(req.Chunk, nil)})
		}
	}
	return all
}
