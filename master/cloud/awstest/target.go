package awstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// The life of a target:
//
//	unused -> initial -> healthy <-> unhealthy
//	             any of the three -> draining -> unused, at once when no request is open, else after the group's delay
const (
	unused    = "unused"
	initial   = "initial"
	healthy   = "healthy"
	unhealthy = "unhealthy"
	draining  = "draining"
)

type target struct {
	id   string
	port int
	addr string

	history  []moment // the last is now
	open     int      // requests
	life     context.Context
	cut      context.CancelFunc // of life: cuts the requests off
	probing  context.CancelFunc
	deadline *time.Timer // of the draining
}

// moment is what a target became, and when.
type moment struct {
	at                  time.Time
	state, reason, text string
}

func key(id string, port int) string { return net.JoinHostPort(id, strconv.Itoa(port)) }

func (t *target) state() string { return t.history[len(t.history)-1].state }

func (t *target) become(state, reason, text string) {
	t.history = append(t.history, moment{time.Now(), state, reason, text})
}

// seen is what the target was at a time.
func (t *target) seen(then time.Time) moment {
	found := moment{state: unused, reason: "Target.NotRegistered"}
	for _, m := range t.history {
		if !m.at.After(then) {
			found = m
		}
	}
	return found
}

func (t *target) stop() {
	if t.probing != nil {
		t.probing()
	}
	if t.deadline != nil {
		t.deadline.Stop()
	}
	t.cut()
}

// register lets a target in; the caller holds mu. One that is in stays as it is.
func (a *AWS) register(g *group, id, host string, port int) {
	t := g.targets[key(id, port)]
	if t == nil {
		t = &target{id: id, port: port, addr: key(host, port), history: []moment{{state: unused, reason: "Target.NotRegistered"}}}
		t.life, t.cut = context.WithCancel(context.Background())
		g.targets[key(id, port)] = t
	}
	if s := t.state(); s != unused && s != draining {
		return
	}
	if t.deadline != nil {
		t.deadline.Stop()
	}
	t.become(initial, "Elb.RegistrationInProgress", "Target registration is in progress")
	ctx, cancel := context.WithCancel(context.Background())
	t.probing = cancel
	a.running.Go(func() { a.probe(ctx, g, t) })
}

// deregister begins to drain a target; the caller holds mu.
func (a *AWS) deregister(g *group, t *target) {
	if s := t.state(); s == unused || s == draining {
		return
	}
	t.probing()
	t.become(draining, "Target.DeregistrationInProgress", "Target deregistration is in progress")
	if t.open == 0 {
		t.become(unused, "Target.NotRegistered", "Target is not registered to the target group")
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(g.Delay, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if t.state() == draining && t.deadline == timer {
			t.cut()
			t.life, t.cut = context.WithCancel(context.Background())
			t.become(unused, "Target.NotRegistered", "Target is not registered to the target group")
		}
	})
	t.deadline = timer
}

// finished notes the end of a request, which may be the end of the draining.
func (a *AWS) finished(t *target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.open--; t.open == 0 && t.state() == draining {
		t.deadline.Stop()
		t.become(unused, "Target.NotRegistered", "Target is not registered to the target group")
	}
}

// probe checks a target's health until it is deregistered.
func (a *AWS) probe(ctx context.Context, g *group, t *target) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	tick := time.NewTicker(g.Interval)
	defer tick.Stop()
	for good, bad := 0, 0; ; {
		reason, text := check(ctx, client, "http://"+t.addr+g.Path)
		if reason == "" {
			good, bad = good+1, 0
		} else {
			good, bad = 0, bad+1
		}
		a.mu.Lock()
		if ctx.Err() != nil {
			a.mu.Unlock()
			return
		}
		switch s := t.state(); {
		case s == initial && good > 0, s == unhealthy && good >= g.Rise:
			t.become(healthy, "", "")
		case s != unhealthy && bad >= g.Fall:
			t.become(unhealthy, reason, text)
		}
		a.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func check(ctx context.Context, c *http.Client, url string) (reason, text string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "Elb.InternalError", err.Error()
	}
	resp, err := c.Do(req)
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "Target.Timeout", "Request timed out"
	case err != nil:
		return "Target.FailedHealthChecks", "Health checks failed"
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "Target.ResponseCodeMismatch", fmt.Sprintf("Health checks failed with these codes: [%d]", resp.StatusCode)
	}
	return "", ""
}
