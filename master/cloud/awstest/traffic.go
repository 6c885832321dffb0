package awstest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
)

// Weights is how a rule shares its requests out, by the ARNs of target groups.
type Weights map[string]int

// Listener is a load balancer's listener with one rule beside its default, which matches every request.
type Listener struct {
	ARN     string
	RuleARN string
	URL     string // where it serves

	fake    *AWS
	server  *httptest.Server
	weights Weights // guarded by fake.mu
	next    int     // guarded by fake.mu; who of the healthy ones is next
}

// AddListener starts a listener that forwards by weights.
func (a *AWS) AddListener(w Weights) *Listener {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.listeners) + 1
	l := &Listener{fake: a, weights: maps.Clone(w)}
	l.ARN = fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:listener/app/edge/%016x/%016x", Region, Account, 1, n)
	l.RuleARN = fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:listener-rule/app/edge/%016x/%016x/%016x", Region, Account, 1, n, 1)
	l.server = httptest.NewServer(http.HandlerFunc(l.forward))
	l.URL = l.server.URL
	a.listeners = append(a.listeners, l)
	return l
}

// Weights tells how the rule shares its requests out now.
func (l *Listener) Weights() Weights {
	l.fake.mu.Lock()
	defer l.fake.mu.Unlock()
	return maps.Clone(l.weights)
}

// forward sends a request to one target, on a connection of its own.
func (l *Listener) forward(w http.ResponseWriter, r *http.Request) {
	t, life := l.choose()
	if t == nil {
		http.Error(w, "503 Service Temporarily Unavailable", http.StatusServiceUnavailable)
		return
	}
	defer l.fake.finished(t)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: t.addr}) },
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// choose picks a target group by its weight and a target of it: a healthy one, or, as the real one does, any that is
// unhealthy when none is healthy.
func (l *Listener) choose() (*target, context.Context) {
	l.fake.mu.Lock()
	defer l.fake.mu.Unlock()
	g := l.pick()
	if g == nil {
		return nil, nil
	}
	for _, state := range []string{healthy, unhealthy} {
		var able []*target
		for _, t := range g.targets {
			if t.state() == state {
				able = append(able, t)
			}
		}
		if len(able) > 0 {
			slices.SortFunc(able, func(a, b *target) int { return cmp.Compare(a.addr, b.addr) })
			l.next++
			t := able[l.next%len(able)]
			t.open++
			return t, t.life
		}
	}
	return nil, nil
}

func (l *Listener) pick() *group {
	total := 0
	for _, w := range l.weights {
		total += w
	}
	if total == 0 {
		return nil
	}
	n := rand.IntN(total)
	for arn, w := range l.weights {
		if n -= w; n < 0 {
			g, err := l.fake.group(arn)
			if err != nil {
				return nil
			}
			return g
		}
	}
	return nil
}

type xmlTuple struct {
	Arn    string `xml:"TargetGroupArn"`
	Weight int
}

type xmlAction struct {
	Type   string
	Groups []xmlTuple `xml:"ForwardConfig>TargetGroups>member"`
}

type xmlRule struct {
	Arn      string `xml:"RuleArn"`
	Priority string
	Default  bool        `xml:"IsDefault"`
	Actions  []xmlAction `xml:"Actions>member"`
}

func (l *Listener) rule() xmlRule {
	action := xmlAction{Type: "forward"}
	for _, arn := range slices.Sorted(maps.Keys(l.weights)) {
		action.Groups = append(action.Groups, xmlTuple{arn, l.weights[arn]})
	}
	return xmlRule{l.RuleARN, "1", false, []xmlAction{action}}
}

type xmlRules struct {
	Rules []xmlRule `xml:"Rules>member"`
	Next  string    `xml:"NextMarker,omitempty"`
}

func (a *AWS) describeRules(f form) (any, error) {
	arns := f.texts("RuleArns")
	var found []xmlRule
	for _, l := range a.listeners {
		if slices.Contains(arns, l.RuleARN) || l.ARN == f.get("ListenerArn") {
			found = append(found, l.rule())
		}
	}
	if len(found) < max(1, len(arns)) {
		return nil, failure{"RuleNotFound", "One or more rules not found"}
	}
	found, next, err := page(a, f, found, "Marker")
	return xmlRules{found, next}, err
}

func (a *AWS) modifyRule(f form) (any, error) {
	i := slices.IndexFunc(a.listeners, func(l *Listener) bool { return l.RuleARN == f.get("RuleArn") })
	if i < 0 {
		return nil, failure{"RuleNotFound", "One or more rules not found"}
	}
	w := Weights{}
	for _, action := range f.list("Actions") {
		if action.get("Type") != "forward" {
			return nil, invalid("the fake only forwards")
		}
		for _, tuple := range (form{action.values, action.prefix + "ForwardConfig."}).list("TargetGroups") {
			weight, err := strconv.Atoi(tuple.get("Weight"))
			if _, gerr := a.group(tuple.get("TargetGroupArn")); gerr != nil || err != nil || weight < 0 || weight > 999 {
				return nil, invalid("target group %s weight %q", tuple.get("TargetGroupArn"), tuple.get("Weight"))
			}
			w[tuple.get("TargetGroupArn")] = weight
		}
	}
	if len(w) == 0 || len(w) > 5 {
		return nil, invalid("a rule forwards to one to five target groups, not %d", len(w))
	}
	a.listeners[i].weights = w
	return xmlRules{Rules: []xmlRule{a.listeners[i].rule()}}, nil
}
