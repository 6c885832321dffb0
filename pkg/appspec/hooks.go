package appspec

import (
	"math"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// reserved lists the events that are the master's or the minion's own. The agent takes scripts for them and never runs
// them.
func reserved() []fleet.LifecycleEvent {
	return []fleet.LifecycleEvent{fleet.BlockTraffic, fleet.DownloadBundle, fleet.Install, fleet.AllowTraffic}
}

// Scripted lists the events that run scripts, in the order in which they happen.
func Scripted() []fleet.LifecycleEvent {
	return slices.DeleteFunc(fleet.Lifecycle(), func(e fleet.LifecycleEvent) bool { return slices.Contains(reserved(), e) })
}

func (p *parser) hooks(n *yaml.Node) {
	if k := n.Kind(); k != yaml.Mapping && k != yaml.Null {
		p.fail(n, "hooks must be a mapping of lifecycle events to lists of scripts, found %s", k)
	}
	for _, pair := range n.Pairs() {
		event := fleet.LifecycleEvent(pair.Key.Text())
		switch {
		case !slices.Contains(fleet.Lifecycle(), event) && !slices.Contains(p.custom, event):
			p.fail(pair.Key, "the file contains unknown lifecycle events: %q; known: %s", string(event), names(Scripted()))
			continue
		case pair.Value.Kind() == yaml.Null:
			continue
		case pair.Value.Kind() != yaml.Sequence:
			p.fail(pair.Value, "the hook %s must be a list of scripts, found %s", event, pair.Value.Kind())
			continue
		case slices.Contains(reserved(), event) && len(pair.Value.Items()) > 0:
			p.spec.Notes = append(p.spec.Notes, pair.Key.Pos().String()+": scripts of the reserved event "+string(event)+" are never run")
		}
		for _, item := range pair.Value.Items() {
			if s, ok := p.script(item); ok {
				p.spec.Hooks[event] = append(p.spec.Hooks[event], s)
			}
		}
	}
}

func names(events []fleet.LifecycleEvent) string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = string(e)
	}
	return strings.Join(list, ", ")
}

func (p *parser) script(n *yaml.Node) (Script, bool) {
	before := len(p.errs)
	if !p.mapping(n, "a script") {
		return Script{}, false
	}
	s := Script{
		Location: p.location(n),
		Written:  strings.TrimSpace(n.Get("location").Text()),
		Timeout:  p.timeout(n.Get("timeout")),
		RunAs:    p.text(n, "runas"),
		Sudo:     truthy(n.Get("sudo")),
		Pos:      n.Pos(),
	}
	return s, len(p.errs) == before
}

// location is joined to the revision's root, as the agent does also with an absolute one.
func (p *parser) location(n *yaml.Node) string {
	text := p.text(n, "location")
	if text == "" {
		p.fail(n, "a script with no location value")
		return ""
	}
	clean := path.Clean(strings.TrimLeft(text, "/"))
	if !filepath.IsLocal(clean) || clean == "." || strings.ContainsRune(clean, 0) {
		p.fail(n.Get("location"), "the location %q does not name a file inside the revision: it must not lead outside", text)
	}
	return clean
}

// timeout takes whole seconds; fractions are cut off and quotes allowed, as the agent does.
func (p *parser) timeout(n *yaml.Node) time.Duration {
	if n.Kind() == yaml.Null {
		return DefaultTimeout
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(n.Text()), 64)
	if err != nil || !(seconds >= 1 && seconds < math.MaxInt64/float64(time.Second)) {
		p.fail(n, "invalid timeout value was provided (%s): it must be a number of seconds above 0", n.Text())
		return DefaultTimeout
	}
	return time.Duration(math.Floor(seconds)) * time.Second
}

// truthy is what Ruby takes for true.
func truthy(n *yaml.Node) bool {
	if n.Kind() == yaml.Null || n.Quoted() {
		return n.Kind() != yaml.Null
	}
	return !slices.Contains([]string{"false", "no", "off", "n"}, strings.ToLower(n.Text()))
}
