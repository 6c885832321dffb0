package config

import (
	"fmt"
	"net/url"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/freeze"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// strategy looks for what is wrong with how a group is rolled.
func (c *appCheck) strategy(node *yaml.Node, s fleet.Strategy) {
	if s.OnFailure != "" && s.OnFailure != fleet.Ask {
		c.fail("on_failure is "+fleet.Ask+", or not given", node.Get("on_failure"))
	}
	if s.MaxFailures < 0 {
		c.fail("max_failures must not be negative", node.Get("max_failures"))
	}
	if canary := s.Canary; canary != nil && canary.Within > 0 && !canary.Approve {
		c.fail("within is the time for an approval: it needs approve: true", node.Get("canary", "within"))
	}
	if s.Zones != nil && s.Zones.By == "" {
		c.missing("zones.by is missing: the grain that names a minion's zone", node.Get("zones"))
	}
	c.blueGreen(node.Get("blue_green"), s.BlueGreen)
	if s.Gate == nil {
		return
	}
	for i, at := range node.Get("gate", "checks").Items() {
		if i < len(s.Gate.Checks) {
			c.healthCheck(at, s.Gate.Checks[i])
		}
	}
	names := map[string]bool{}
	for i, at := range node.Get("gate", "alarms").Items() {
		if i >= len(s.Gate.Alarms) {
			break
		}
		c.alarm(at, s.Gate.Alarms[i])
		if name := s.Gate.Alarms[i].Name; names[name] {
			c.fail(fmt.Sprintf("a second alarm %q", name), at.Get("name"), at)
		}
		names[s.Gate.Alarms[i].Name] = true
	}
}

func (c *appCheck) blueGreen(node *yaml.Node, b *fleet.BlueGreen) {
	if b == nil {
		return
	}
	for name, expr := range map[string]string{"blue": b.Blue, "green": b.Green} {
		if expr == "" {
			c.missing("blue_green."+name+" is missing: the target of that side", node.Get(name), node)
		} else if c.Target != nil {
			if err := c.Target(expr); err != nil {
				c.fail(name+": "+err.Error(), node.Get(name))
			}
		}
	}
	if b.Within > 0 && !b.Approve {
		c.fail("within is the time for an approval: it needs approve: true", node.Get("within"))
	}
}

func (c *appCheck) healthCheck(at *yaml.Node, h fleet.HealthCheck) {
	if given(h.HTTP != "", h.TCP != "", len(h.Script) > 0) != 1 {
		c.missing("a check has exactly one of http, tcp and script", at)
	}
	if h.Successes < 0 {
		c.fail("successes must not be negative", at.Get("successes"))
	}
}

func (c *appCheck) alarm(at *yaml.Node, a fleet.Alarm) {
	if a.Name == "" {
		c.missing("the alarm has no name", at)
	}
	if given(a.URL != "", a.Prometheus != "", a.CloudWatch != "") != 1 {
		c.missing("an alarm has exactly one of url, prometheus and cloudwatch", at)
	}
	for key, link := range map[string]string{"url": a.URL, "prometheus": a.Prometheus} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			c.fail(key+": an http or https URL is wanted", at.Get(key))
		}
	}
	if a.Prometheus != "" && (a.Query == "" || given(a.Above != nil, a.Below != nil) == 0) {
		c.missing("an alarm of prometheus needs query, and above or below", at)
	}
	if a.Prometheus == "" && (a.Query != "" || a.Above != nil || a.Below != nil) {
		c.fail("query, above and below go with prometheus", at)
	}
}

func (c *appCheck) freezes(node *yaml.Node, list []fleet.Freeze) {
	for i, at := range node.Items() {
		if i >= len(list) {
			return
		}
		if _, err := freeze.Parse(list[i]); err != nil {
			c.missing("freeze: "+err.Error(), at)
		}
	}
}

func given(which ...bool) int {
	n := 0
	for _, w := range which {
		if w {
			n++
		}
	}
	return n
}
