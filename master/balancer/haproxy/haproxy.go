// Package haproxy drives HAProxy 2.6 or later over its runtime API, the admin socket. A pool is a backend (or a listen
// section), a member a server in it. HAProxy's configuration needs, at least:
//
//	global
//	    stats socket /run/haproxy/admin.sock mode 660 group brine level admin
//
//	backend shop                              # the pool
//	    balance roundrobin                    # or leastconn: a dynamic algorithm, when servers shall be added
//	    option httpchk GET /health
//	    http-check expect status 200
//	    default-server check inter 1s fall 2 rise 2
//	    server web1 10.0.0.11:8080 disabled   # optional: a member that is not here is added while HAProxy runs
//	    server web2 10.0.0.12:8080 disabled
//
// HAProxy forgets what its socket was told when it is restarted or reloaded: servers added are gone, and those of the
// configuration are in again, unless they are "disabled" there or "load-server-state-from-file" brings their state back.
// A Drain or Activate that is running notices and begins again.
//
// What is waited for in a drain are requests, in a TCP backend connections. Connections that a client or HAProxy keeps
// open without a request count for nothing. A client that is bound to its server by a cookie or a stick table may come
// back to it until it is empty for an instant; then the server is in maintenance and takes nobody.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
)

// HAProxy is one load balancer of one or several processes. It keeps no connection and no state.
type HAProxy struct {
	sockets []*socket
	options []string
}

var _ balancer.Balancer = (*HAProxy)(nil)

// Drain implements balancer.Balancer.
func (h *HAProxy) Drain(ctx context.Context, pool string, m balancer.Member) error {
	if err := checkNames(pool, m.Name); err != nil {
		return err
	}
	if err := h.each(func(s *socket) error { return s.drain(ctx, pool, m.Name) }); err != nil {
		return fmt.Errorf("drain %s in %s: %w", m.Name, pool, err)
	}
	return nil
}

// Activate implements balancer.Balancer. A host name as the address is resolved here, because HAProxy does not.
func (h *HAProxy) Activate(ctx context.Context, pool string, m balancer.Member) error {
	if err := checkNames(pool, m.Name); err != nil {
		return err
	}
	if err := balancer.CheckMember(pool, m); err != nil {
		return err
	}
	at, err := balancer.Resolve(ctx, m.Address)
	if err != nil {
		return fmt.Errorf("activate %s in %s: %w", m.Name, pool, err)
	}
	err = h.each(func(s *socket) error { return s.activate(ctx, pool, m.Name, at, h.options) })
	if err != nil {
		// In everywhere or nowhere: processes must not disagree.
		undo, cancel := afterwards(ctx)
		defer cancel()
		out := h.each(func(s *socket) error { return s.takeOut(undo, pool, m.Name) })
		if out != nil && !away(err) {
			err = fmt.Errorf("%w; and take it out again: %w", err, out)
		}
		return fmt.Errorf("activate %s in %s: %w", m.Name, pool, err)
	}
	return nil
}

// Members implements balancer.Balancer. Of several processes the one that serves least is believed.
func (h *HAProxy) Members(ctx context.Context, pool string) (map[string]balancer.Status, error) {
	if err := checkNames(pool); err != nil {
		return nil, err
	}
	var merged map[string]balancer.Status
	for _, s := range h.sockets {
		servers, err := s.servers(ctx, pool)
		if err != nil {
			return nil, err
		}
		members := make(map[string]balancer.Status, len(servers))
		for name, server := range servers {
			members[name] = server.standing()
		}
		merged = merge(merged, members)
	}
	return merged, nil
}

func merge(a, b map[string]balancer.Status) map[string]balancer.Status {
	if a == nil {
		return b
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	for name := range all {
		for _, worst := range []balancer.Status{balancer.Down, balancer.Checking, balancer.Draining, balancer.Out, "", balancer.Up} {
			if a[name] == worst || b[name] == worst {
				all[name] = worst
				break
			}
		}
		if all[name] == "" {
			all[name] = balancer.Out
		}
	}
	return all
}

// each does the same on all sockets at once.
func (h *HAProxy) each(do func(*socket) error) error {
	errs := make([]error, len(h.sockets))
	var all sync.WaitGroup
	for i, s := range h.sockets {
		all.Go(func() { errs[i] = do(s) })
	}
	all.Wait()
	var failed error
	for _, err := range errs {
		switch {
		case failed == nil:
			failed = err
		case err != nil:
			failed = fmt.Errorf("%w; %w", failed, err)
		}
	}
	return failed
}

func (s *socket) drain(ctx context.Context, pool, name string) error {
	err := s.follow(ctx, pool, name, func(now server, exists bool) step { return drainStep(pool+"/"+name, now, exists) })
	if err == nil || !expired(ctx, err) {
		return err
	}
	end, cancel := afterwards(ctx)
	defer cancel()
	return s.takeOut(end, pool, name, "shutdown sessions server "+pool+"/"+name)
}

func (s *socket) activate(ctx context.Context, pool, name string, at netip.AddrPort, options []string) error {
	var proving bool
	var seen server
	err := s.follow(ctx, pool, name, func(now server, exists bool) (next step) {
		seen = now
		next, proving = activateStep(pool+"/"+name, now, exists, proving, at, options)
		return next
	})
	if expired(ctx, err) && seen.status != "" {
		return fmt.Errorf("not healthy in time: last check: %s, server is %s: %w", orNone(seen.last), seen.status, err)
	}
	return err
}

// expired reports whether err says that ctx's deadline passed, and not that it was canceled or that a command timed out.
func expired(ctx context.Context, err error) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded)
}

func orNone(check string) string {
	if check == "" {
		return "none yet"
	}
	return check
}

// follow walks the steps that next gives until they are done. While HAProxy cannot be asked it tries again; if that is
// still so when ctx is done, the error says why.
func (s *socket) follow(ctx context.Context, pool, name string, next func(server, bool) step) error {
	pause := 10 * time.Millisecond
	for {
		done, err := s.walk(ctx, pool, name, next)
		if done || err != nil && !away(err) {
			return err
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("%w: %w", ctx.Err(), err)
			}
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

func (s *socket) walk(ctx context.Context, pool, name string, next func(server, bool) step) (done bool, err error) {
	servers, err := s.servers(ctx, pool)
	if err != nil {
		return false, err
	}
	now, exists := servers[name]
	step := next(now, exists)
	if len(step.commands) == 0 {
		return step.done, nil
	}
	_, err = s.ask(ctx, step.commands...)
	// Somebody else was quicker: look again.
	if refused(err, "Already exists") || refused(err, "No such server") {
		err = nil
	}
	return false, err
}

// takeOut puts a server into maintenance, if it exists, and gives it the further commands.
func (s *socket) takeOut(ctx context.Context, pool, name string, further ...string) error {
	_, err := s.ask(ctx, append([]string{setState(pool+"/"+name, "maint")}, further...)...)
	if refused(err, "No such") {
		return nil
	}
	return err
}

// servers asks for all servers of a backend.
func (s *socket) servers(ctx context.Context, pool string) (map[string]server, error) {
	answers, err := s.ask(ctx, "show servers state "+pool, "show stat "+pool+" 4 -1")
	if refused(err, "Can't find backend") {
		return nil, s.unknownPool(ctx, pool)
	}
	if err != nil {
		return nil, err
	}
	servers, err := parseServers(answers, pool)
	if err != nil {
		return nil, &unreachableError{fmt.Errorf("balancer socket %s: %w", s.path, err)}
	}
	return servers, nil
}

func (s *socket) unknownPool(ctx context.Context, pool string) error {
	answer, err := s.ask(ctx, "show backend")
	if err != nil {
		return fmt.Errorf("%w %q; its backends cannot be listed: %w", balancer.ErrUnknownPool, pool, err)
	}
	var known []string
	for line := range strings.Lines(answer) {
		if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "#") {
			known = append(known, name)
		}
	}
	return fmt.Errorf("balancer socket %s: %w", s.path, balancer.UnknownPool(pool, known))
}

// afterwards is for what must be done although ctx is over. Each command has a timeout of its own.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}
