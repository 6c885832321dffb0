// Package elbv2 is the balancer of AWS: Application and Network Load Balancers, by the targets of their target groups.
// docs/aws.md has the rights that it needs.
package elbv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/brine-deploy/brine/master/balancer"
)

// takeOut bounds the way back of an Activate whose time is up.
const takeOut = 10 * time.Second

// ELB drives target groups. AWS itself cuts a draining target off, when the deregistration delay of its group is over, and
// cannot be told to do it sooner: a Drain whose limit is shorter returns with the target draining.
type ELB struct {
	client *elasticloadbalancingv2.Client
	log    *slog.Logger
	poll   time.Duration
	settle time.Duration
	pools  map[string]PoolConfig
	names  names

	mu    sync.Mutex
	found map[string][]*group // guarded by mu; by pool
}

var (
	_ balancer.Balancer    = (*ELB)(nil)
	_ balancer.Switcher    = (*ELB)(nil)
	_ balancer.StateKeeper = (*ELB)(nil)
)

// KeepState reads the names of ip targets, which AWS knows by their addresses alone.
func (e *ELB) KeepState(file string) error { return e.names.load(file) }

// place is one target that a member is.
type place struct {
	group  *group
	target types.TargetDescription
}

func (p place) id() string { return key(p.target) }

// places are the targets that a member is in some groups.
func (e *ELB) places(pool string, m balancer.Member, groups []*group) ([]place, error) {
	host, text, err := net.SplitHostPort(m.Address)
	if err != nil {
		return nil, fmt.Errorf("address of member %s: %w", m.Name, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("address %s of member %s has no number as its port", m.Address, m.Name)
	}
	number := int32(cmp.Or(e.pools[pool].Port, int(port))) //nolint:gosec // both are ports
	out := make([]place, 0, len(groups))
	for _, g := range groups {
		id := m.Name
		if g.kind == types.TargetTypeEnumIp {
			if id = host; net.ParseIP(host) == nil {
				return nil, fmt.Errorf("member %s: target group %s wants an IP address, not %q", m.Name, g.name, host)
			}
		}
		out = append(out, place{g, types.TargetDescription{Id: &id, Port: &number}})
	}
	return out, nil
}

// Drain implements balancer.Balancer.
func (e *ELB) Drain(ctx context.Context, pool string, m balancer.Member) error {
	groups, err := e.member(ctx, pool, m)
	if err != nil {
		return err
	}
	places, err := e.places(pool, m, groups)
	if err != nil {
		return err
	}
	since := time.Now()
	if err := e.deregister(ctx, places); err != nil {
		return err
	}
	for _, p := range places {
		if _, err := e.await(ctx, p, since, gone); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				e.log.Warn("drain limit is shorter than the deregistration delay", "pool", pool, "member", m.Name, "target_group", p.group.name, "delay", p.group.delay)
				return nil
			}
			return fmt.Errorf("drain %s out of target group %s: %w", m.Name, p.group.name, err)
		}
	}
	return nil
}

// Activate implements balancer.Balancer.
func (e *ELB) Activate(ctx context.Context, pool string, m balancer.Member) error {
	groups, err := e.member(ctx, pool, m)
	if err != nil {
		return err
	}
	if e.pools[pool].Rule != "" {
		s, err := e.sides(ctx, pool)
		if err != nil {
			return err
		}
		groups = []*group{s.serving}
	}
	return e.enter(ctx, pool, m, groups)
}

// enter registers a member in all groups and waits until it is healthy in each.
func (e *ELB) enter(ctx context.Context, pool string, m balancer.Member, groups []*group) error {
	places, err := e.places(pool, m, groups)
	if err != nil {
		return err
	}
	if err := e.leaveOld(ctx, pool, m, groups); err != nil {
		return err
	}
	if err := e.names.put(pool, m); err != nil {
		return err
	}
	since := time.Now()
	if err := e.register(ctx, places); err != nil {
		return errors.Join(err, e.takeOut(ctx, places))
	}
	for _, p := range places {
		if last, err := e.await(ctx, p, since, healthy); err != nil {
			err = fmt.Errorf("member %s is not healthy in target group %s, last check: %s: %w", m.Name, p.group.name, last, err)
			return errors.Join(err, e.takeOut(ctx, places))
		}
	}
	return nil
}

// leaveOld takes out what the member was at another address.
func (e *ELB) leaveOld(ctx context.Context, pool string, m balancer.Member, groups []*group) error {
	old, ok := e.names.address(pool, m.Name)
	if !ok || old == m.Address || e.pools[pool].Port != 0 && hostOf(old) == hostOf(m.Address) {
		return nil
	}
	places, err := e.places(pool, balancer.Member{Name: m.Name, Address: old}, groups)
	if err != nil {
		return nil //nolint:nilerr // what cannot be a target is none
	}
	return e.deregister(ctx, places)
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

// takeOut undoes what register did, whatever became of ctx.
func (e *ELB) takeOut(ctx context.Context, places []place) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOut)
	defer cancel()
	since := time.Now()
	if err := e.deregister(ctx, places); err != nil {
		return fmt.Errorf("take it out again: %w", err)
	}
	for _, p := range places {
		if _, err := e.await(ctx, p, since, leaving); err != nil {
			return fmt.Errorf("take it out again: %w", err)
		}
	}
	return nil
}

// Members implements balancer.Balancer. Ip targets that this master did not let in are called by their addresses.
func (e *ELB) Members(ctx context.Context, pool string) (map[string]balancer.Status, error) {
	groups, err := e.groups(ctx, pool)
	if err != nil {
		return nil, err
	}
	var idle *group
	if e.pools[pool].Rule != "" {
		s, err := e.sides(ctx, pool)
		if err != nil {
			return nil, err
		}
		idle = s.idle
	}
	members, in := map[string]balancer.Status{}, map[string]int{}
	for _, g := range groups {
		snap, err := g.look(ctx, e, time.Now())
		if err != nil {
			return nil, fmt.Errorf("target group %s: %w", g.name, err)
		}
		for _, h := range snap.health {
			name := *h.Target.Id
			if g.kind == types.TargetTypeEnumIp {
				name = e.names.name(pool, key(*h.Target), e.pools[pool].Port)
			}
			status := statusOf(h.TargetHealth)
			if g == idle && status != balancer.Draining {
				status = balancer.Out // registered, and given nothing
			}
			in[name]++
			members[name] = combine(members[name], status)
		}
	}
	for name, n := range in {
		if idle == nil && n < len(groups) && members[name] == balancer.Up {
			members[name] = balancer.Checking // not in all of them yet
		}
	}
	return members, nil
}

// combine gives the status of a member of several groups: the one that is in the way.
func combine(a, b balancer.Status) balancer.Status {
	rank := []balancer.Status{"", balancer.Out, balancer.Up, balancer.Checking, balancer.Down, balancer.Draining}
	if slices.Index(rank, a) > slices.Index(rank, b) {
		return a
	}
	return b
}

func statusOf(h *types.TargetHealth) balancer.Status {
	switch h.State {
	case types.TargetHealthStateEnumHealthy:
		return balancer.Up
	case types.TargetHealthStateEnumInitial:
		return balancer.Checking
	case types.TargetHealthStateEnumDraining:
		return balancer.Draining
	case types.TargetHealthStateEnumUnused:
		return balancer.Out
	default: // unhealthy, unhealthy.draining, unavailable
		return balancer.Down
	}
}

// member checks a member and gives the groups of its pool.
func (e *ELB) member(ctx context.Context, pool string, m balancer.Member) ([]*group, error) {
	groups, err := e.groups(ctx, pool)
	if err != nil {
		return nil, err
	}
	return groups, balancer.CheckMember(pool, m)
}

func (e *ELB) known() []string { return slices.Collect(maps.Keys(e.pools)) }
