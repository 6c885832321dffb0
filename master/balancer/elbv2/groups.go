package elbv2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/brine-deploy/brine/master/balancer"
)

// group is one target group. All who wait for its targets share what one call tells of them.
type group struct {
	arn, name string
	kind      types.TargetTypeEnum
	delay     string // seconds

	turn chan struct{} // held by who asks or reads
	last snapshot      // guarded by turn
	next time.Time     // when AWS may be asked again; guarded by turn
}

// snapshot is the health of all targets at a time. Who is not in it is not registered.
type snapshot struct {
	at     time.Time
	health map[string]types.TargetHealthDescription
}

func key(t types.TargetDescription) string {
	return net.JoinHostPort(aws.ToString(t.Id), strconv.Itoa(int(aws.ToInt32(t.Port))))
}

// groups finds the target groups of a pool, once.
func (e *ELB) groups(ctx context.Context, pool string) ([]*group, error) {
	p, ok := e.pools[pool]
	if !ok {
		return nil, balancer.UnknownPool(pool, e.known())
	}
	e.mu.Lock()
	found := e.found[pool]
	e.mu.Unlock()
	if found != nil {
		return found, nil
	}
	for _, wanted := range p.TargetGroups {
		g, err := e.find(ctx, wanted)
		if err != nil {
			return nil, fmt.Errorf("pool %s: target group %s: %w", pool, wanted, err)
		}
		found = append(found, g)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.found[pool] == nil {
		e.found[pool] = found
	}
	return e.found[pool], nil
}

func (e *ELB) find(ctx context.Context, wanted string) (*group, error) {
	in := &elasticloadbalancingv2.DescribeTargetGroupsInput{Names: []string{wanted}}
	if strings.HasPrefix(wanted, "arn:") {
		in = &elasticloadbalancingv2.DescribeTargetGroupsInput{TargetGroupArns: []string{wanted}}
	}
	for pages := elasticloadbalancingv2.NewDescribeTargetGroupsPaginator(e.client, in); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, tg := range out.TargetGroups {
			if aws.ToString(tg.TargetGroupArn) != wanted && aws.ToString(tg.TargetGroupName) != wanted {
				continue
			}
			if tg.TargetType != types.TargetTypeEnumInstance && tg.TargetType != types.TargetTypeEnumIp {
				return nil, fmt.Errorf("its targets are of type %s; only instance and ip can be driven", tg.TargetType)
			}
			delay, err := e.delay(ctx, tg.TargetGroupArn)
			return &group{
				arn: *tg.TargetGroupArn, name: aws.ToString(tg.TargetGroupName), kind: tg.TargetType, delay: delay, turn: make(chan struct{}, 1),
			}, err
		}
	}
	return nil, errors.New("AWS does not have it")
}

func (e *ELB) delay(ctx context.Context, arn *string) (string, error) {
	out, err := e.client.DescribeTargetGroupAttributes(ctx, &elasticloadbalancingv2.DescribeTargetGroupAttributesInput{TargetGroupArn: arn})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(out.Attributes, func(a types.TargetGroupAttribute) bool {
		return aws.ToString(a.Key) == "deregistration_delay.timeout_seconds"
	})
	if i < 0 {
		return "", nil
	}
	return aws.ToString(out.Attributes[i].Value) + "s", nil
}

func (e *ELB) register(ctx context.Context, places []place) error {
	for _, p := range places {
		_, err := e.client.RegisterTargets(ctx, &elasticloadbalancingv2.RegisterTargetsInput{
			TargetGroupArn: &p.group.arn, Targets: []types.TargetDescription{p.target},
		})
		if err != nil {
			return fmt.Errorf("register %s in target group %s: %w", p.id(), p.group.name, err)
		}
	}
	return nil
}

// deregister takes targets out; one that AWS does not have any more is out.
func (e *ELB) deregister(ctx context.Context, places []place) error {
	var errs []error
	for _, p := range places {
		_, err := e.client.DeregisterTargets(ctx, &elasticloadbalancingv2.DeregisterTargetsInput{
			TargetGroupArn: &p.group.arn, Targets: []types.TargetDescription{p.target},
		})
		if invalid := (*types.InvalidTargetException)(nil); err != nil && !errors.As(err, &invalid) {
			errs = append(errs, fmt.Errorf("deregister %s from target group %s: %w", p.id(), p.group.name, err))
		}
	}
	return errors.Join(errs...)
}

// What await may wait for. A target that is not registered has no health.
func healthy(h *types.TargetHealth) bool {
	return h != nil && h.State == types.TargetHealthStateEnumHealthy
}

func gone(h *types.TargetHealth) bool {
	return h == nil || h.State == types.TargetHealthStateEnumUnused
}

func leaving(h *types.TargetHealth) bool {
	return gone(h) || h.State == types.TargetHealthStateEnumDraining
}

// await looks at a target, again and again, until it is as wanted, and tells what it saw last. AWS may answer for a while as
// things were before since: what was wanted is believed when it was different after since, or when that while is over.
func (e *ELB) await(ctx context.Context, p place, since time.Time, want func(*types.TargetHealth) bool) (last string, err error) {
	last = "none was made yet"
	for after, changed := since, false; ; {
		snap, err := p.group.look(ctx, e, after)
		switch {
		case ctx.Err() != nil:
			return last, ctx.Err()
		case err != nil && !passing(err):
			return last, err
		case err != nil:
			last = err.Error()
			continue
		}
		var seen *types.TargetHealth
		if h, ok := snap.health[p.id()]; ok {
			seen = h.TargetHealth
		}
		last = words(seen)
		if !want(seen) {
			changed = true
		} else if changed || snap.at.After(since.Add(e.settle)) {
			return last, nil
		}
		after = snap.at
	}
}

// passing tells errors that may be over at the next look: AWS is throttling, down or away.
func passing(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

func words(h *types.TargetHealth) string {
	if h == nil {
		return "not registered"
	}
	return strings.TrimSuffix(strings.Join([]string{string(h.State), aws.ToString(h.Description)}, ", "), ", ")
}

// look gives a snapshot that was begun later than after.
func (g *group) look(ctx context.Context, e *ELB, after time.Time) (snapshot, error) {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return snapshot{}, ctx.Err()
	}
	defer func() { <-g.turn }()
	if g.last.at.After(after) {
		return g.last, nil
	}
	if !pause(ctx, time.Until(g.next)) {
		return snapshot{}, ctx.Err()
	}
	now := time.Now()
	g.next = now.Add(e.poll)
	out, err := e.client.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: &g.arn})
	if err != nil {
		return snapshot{}, fmt.Errorf("describe health: %w", err)
	}
	snap := snapshot{at: now, health: make(map[string]types.TargetHealthDescription, len(out.TargetHealthDescriptions))}
	for _, h := range out.TargetHealthDescriptions {
		if h.Target != nil && h.TargetHealth != nil {
			snap.health[key(*h.Target)] = h
		}
	}
	g.last = snap
	return snap, nil
}

// pause waits, and says whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
