package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
)

// checker asks members how they are. It keeps no connection: that a new one can be made is a part of the question.
var checker = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// watch checks all members at their pace until ctx is done. save is called when one went up or down.
func (p *pool) watch(ctx context.Context, save func()) {
	var checks sync.WaitGroup
	defer checks.Wait()
	for {
		due, next := p.due(time.Now())
		for _, m := range due {
			checks.Go(func() {
				last, ok := p.check(ctx, m.Address)
				if ctx.Err() == nil && p.judge(m, last, ok) {
					save()
				}
				p.nudge()
			})
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// nudge wakes the health loop.
func (p *pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// due returns the members to be checked now, and when to look again.
func (p *pool) due(now time.Time) (due []*member, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next = now.Add(time.Minute)
	for _, m := range p.members {
		switch {
		case m.checking || m.status == balancer.Draining:
		case m.due.After(now):
			if m.due.Before(next) {
				next = m.due
			}
		default:
			m.checking = true
			due = append(due, m)
		}
	}
	return due, next
}

// check asks once and says what it saw.
func (p *pool) check(ctx context.Context, address string) (saw string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Health.Timeout.Or(500*time.Millisecond))
	defer cancel()
	path := p.config.Health.Path
	if path == "" {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err.Error(), false
		}
		_ = conn.Close()
		return "connected", true
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err.Error(), false
	}
	r.Header.Set("User-Agent", "brine-health")
	res, err := checker.Do(r)
	if err != nil {
		return err.Error(), false
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	return fmt.Sprintf("GET %s: %s", path, res.Status), res.StatusCode >= 200 && res.StatusCode < 400
}

// judge notes a check's result and reports whether the member went up or down by it.
func (p *pool) judge(m *member, last string, ok bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := m.last == ""
	m.checking, m.last = false, last
	before, needed := m.status, p.config.Health.Rise
	if before == balancer.Up {
		needed = p.config.Health.Fall
	}
	if ok == (before == balancer.Up) {
		m.streak = 0
	} else {
		m.streak++
	}
	if m.streak >= needed && before != balancer.Draining && before != balancer.Out {
		m.streak, m.status = 0, balancer.Up
		if !ok {
			m.status = balancer.Down
		}
	}
	m.due = time.Now().Add(p.config.Health.interval(m.status == balancer.Checking || m.status == balancer.Down && m.streak > 0))
	if m.status == before && !first {
		return false
	}
	p.notify()
	return m.status != before
}
