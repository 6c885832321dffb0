package awstest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TargetGroup describes a target group. Times may be shorter than AWS allows.
type TargetGroup struct {
	Name     string
	Type     string        // "instance" or "ip"
	Port     int           // of targets that are registered without
	Delay    time.Duration // deregistration_delay.timeout_seconds
	Path     string        // of the health check; "/health" when empty
	Interval time.Duration // of the health check; 20 ms when zero
	Rise     int           // checks that must pass after some failed; 2 when zero
	Fall     int           // checks that must fail; 2 when zero
}

type group struct {
	TargetGroup
	arn     string
	targets map[string]*target // by id:port; those that were deregistered stay
}

// AddTargetGroup adds a target group and gives its ARN.
func (a *AWS) AddTargetGroup(tg TargetGroup) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if tg.Path == "" {
		tg.Path = "/health"
	}
	if tg.Interval == 0 {
		tg.Interval = 20 * time.Millisecond
	}
	if tg.Rise == 0 {
		tg.Rise = 2
	}
	if tg.Fall == 0 {
		tg.Fall = 2
	}
	g := &group{TargetGroup: tg, targets: map[string]*target{}}
	g.arn = fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:targetgroup/%s/%016x", Region, Account, tg.Name, len(a.groups)+1)
	a.groups = append(a.groups, g)
	return g.arn
}

// AddInstance says at which host an instance has its ports.
func (a *AWS) AddInstance(id, host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosts[id] = host
}

func (a *AWS) elb() handlers {
	return handlers{
		"DescribeTargetGroups":          a.describeTargetGroups,
		"DescribeTargetGroupAttributes": a.describeTargetGroupAttributes,
		"DescribeTargetHealth":          a.describeTargetHealth,
		"RegisterTargets":               a.registerTargets,
		"DeregisterTargets":             a.deregisterTargets,
		"DescribeRules":                 a.describeRules,
		"ModifyRule":                    a.modifyRule,
	}
}

type xmlGroup struct {
	Arn      string `xml:"TargetGroupArn"`
	Name     string `xml:"TargetGroupName"`
	Type     string `xml:"TargetType"`
	Protocol string
	Port     int
	Path     string `xml:"HealthCheckPath"`
	Interval int    `xml:"HealthCheckIntervalSeconds"`
	Rise     int    `xml:"HealthyThresholdCount"`
	Fall     int    `xml:"UnhealthyThresholdCount"`
}

func (a *AWS) describeTargetGroups(f form) (any, error) {
	arns, names := f.texts("TargetGroupArns"), f.texts("Names")
	var found []xmlGroup
	for _, g := range a.groups {
		if len(arns)+len(names) > 0 && !slices.Contains(arns, g.arn) && !slices.Contains(names, g.Name) {
			continue
		}
		found = append(found, xmlGroup{g.arn, g.Name, g.Type, "HTTP", g.Port, g.Path, seconds(g.Interval), g.Rise, g.Fall})
	}
	if len(found) < len(arns)+len(names) {
		return nil, failure{"TargetGroupNotFound", fmt.Sprintf("Target groups '%s' not found", strings.Join(append(arns, names...), ", "))}
	}
	found, next, err := page(a, f, found, "Marker")
	return struct {
		Groups []xmlGroup `xml:"TargetGroups>member"`
		Next   string     `xml:"NextMarker,omitempty"`
	}{found, next}, err
}

func (a *AWS) group(arn string) (*group, error) {
	i := slices.IndexFunc(a.groups, func(g *group) bool { return g.arn == arn })
	if i < 0 {
		return nil, failure{"TargetGroupNotFound", fmt.Sprintf("Target groups '%s' not found", arn)}
	}
	return a.groups[i], nil
}

type attribute struct{ Key, Value string }

func (a *AWS) describeTargetGroupAttributes(f form) (any, error) {
	g, err := a.group(f.get("TargetGroupArn"))
	if err != nil {
		return nil, err
	}
	return struct {
		Attributes []attribute `xml:"Attributes>member"`
	}{[]attribute{
		{"stickiness.enabled", "false"},
		{"deregistration_delay.timeout_seconds", strconv.Itoa(seconds(g.Delay))},
	}}, nil
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

type xmlTarget struct {
	ID   string `xml:"Id"`
	Port int
}

type xmlHealth struct {
	Target      xmlTarget
	State       string `xml:"TargetHealth>State"`
	Reason      string `xml:"TargetHealth>Reason,omitempty"`
	Description string `xml:"TargetHealth>Description,omitempty"`
}

func (a *AWS) describeTargetHealth(f form) (any, error) {
	g, err := a.group(f.get("TargetGroupArn"))
	if err != nil {
		return nil, err
	}
	then := time.Now().Add(-a.cfg.Lag)
	var out []xmlHealth
	wanted := f.list("Targets")
	for _, w := range wanted {
		t, at := g.targets[key(w.get("Id"), g.portOf(w))], moment{state: unused, reason: "Target.NotRegistered", text: "Target is not registered to the target group"}
		if t != nil {
			at = t.seen(then)
		}
		out = append(out, xmlHealth{xmlTarget{w.get("Id"), g.portOf(w)}, at.state, at.reason, at.text})
	}
	for _, t := range g.targets {
		if at := t.seen(then); len(wanted) == 0 && at.state != unused {
			out = append(out, xmlHealth{xmlTarget{t.id, t.port}, at.state, at.reason, at.text})
		}
	}
	return struct {
		Health []xmlHealth `xml:"TargetHealthDescriptions>member"`
	}{out}, nil
}

func (g *group) portOf(f form) int {
	if p := f.number("Port"); p != 0 {
		return p
	}
	return g.Port
}

func (a *AWS) registerTargets(f form) (any, error) {
	g, err := a.group(f.get("TargetGroupArn"))
	if err != nil {
		return nil, err
	}
	for _, m := range f.list("Targets") {
		id, host := m.get("Id"), m.get("Id")
		if g.Type == "instance" {
			var ok bool
			if host, ok = a.hosts[id]; !ok {
				return nil, failure{"InvalidTarget", fmt.Sprintf("The following targets are not in a running state and cannot be registered: '%s'", id)}
			}
		}
		a.register(g, id, host, g.portOf(m))
	}
	return nil, nil
}

func (a *AWS) deregisterTargets(f form) (any, error) {
	g, err := a.group(f.get("TargetGroupArn"))
	if err != nil {
		return nil, err
	}
	for _, m := range f.list("Targets") {
		for _, t := range g.targets {
			if t.id == m.get("Id") && (m.get("Port") == "" || t.port == m.number("Port")) {
				a.deregister(g, t)
			}
		}
	}
	return nil, nil
}
