package elbv2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/master/balancer"
)

// whole is the weight of the side that serves.
const whole = 100

// sides are the two target groups of a pool with a rule.
type sides struct {
	serving, idle *group
	actions       []types.Action
	forward       *types.ForwardActionConfig // in actions
}

// sides asks which side serves.
func (e *ELB) sides(ctx context.Context, pool string) (sides, error) {
	groups, err := e.groups(ctx, pool)
	if err != nil {
		return sides{}, err
	}
	rule := e.pools[pool].Rule
	out, err := e.client.DescribeRules(ctx, &elasticloadbalancingv2.DescribeRulesInput{RuleArns: []string{rule}})
	if err != nil {
		return sides{}, fmt.Errorf("pool %s: rule %s: %w", pool, rule, err)
	}
	for _, r := range out.Rules {
		for i, a := range r.Actions {
			if a.Type != types.ActionTypeEnumForward || a.ForwardConfig == nil {
				continue
			}
			weight := map[string]int32{}
			for _, t := range a.ForwardConfig.TargetGroups {
				weight[aws.ToString(t.TargetGroupArn)] = aws.ToInt32(t.Weight)
			}
			first, second := groups[0], groups[1]
			_, one := weight[first.arn]
			_, two := weight[second.arn]
			if !one || !two || len(weight) != 2 {
				return sides{}, fmt.Errorf("pool %s: rule %s does not forward to exactly %s and %s", pool, rule, first.name, second.name)
			}
			s := sides{serving: first, idle: second, actions: r.Actions, forward: r.Actions[i].ForwardConfig}
			if weight[second.arn] > weight[first.arn] {
				s.serving, s.idle = second, first
			}
			s.actions[i].TargetGroupArn = nil // the short form of one group
			return s, nil
		}
	}
	return sides{}, fmt.Errorf("pool %s: rule %s forwards to no target groups", pool, rule)
}

// Switch implements balancer.Switcher by the weights of a listener's rule: those that come in are registered in the side
// that does not serve, and when all are healthy there the rule is turned to it. A pool without a rule cannot:
// errors.ErrUnsupported.
func (e *ELB) Switch(ctx context.Context, pool string, in, out []balancer.Member) error {
	if _, err := e.groups(ctx, pool); err != nil {
		return err
	}
	if e.pools[pool].Rule == "" {
		return fmt.Errorf("pool %s has no rule to switch by: %w", pool, errors.ErrUnsupported)
	}
	for _, m := range append(append([]balancer.Member{}, in...), out...) {
		if err := balancer.CheckMember(pool, m); err != nil {
			return err
		}
	}
	s, err := e.sides(ctx, pool)
	if err != nil {
		return err
	}
	switched, err := e.allIn(ctx, pool, in, s.serving)
	if err != nil {
		return err
	}
	if !switched {
		if err := e.together(in, func(m balancer.Member) error { return e.enter(ctx, pool, m, []*group{s.idle}) }); err != nil {
			return errors.Join(err, e.leaveSide(ctx, pool, in, s.idle))
		}
		if err := e.turn(ctx, pool, s); err != nil {
			return errors.Join(err, e.leaveSide(ctx, pool, in, s.idle))
		}
		pause(ctx, e.settle) // so that no part of the load balancer looks for the old side in vain
	}
	return e.together(out, func(m balancer.Member) error { return e.Drain(ctx, pool, m) })
}

func (e *ELB) together(members []balancer.Member, do func(balancer.Member) error) error {
	var all errgroup.Group
	for _, m := range members {
		all.Go(func() error { return do(m) })
	}
	return all.Wait()
}

// allIn says whether all members serve in a group already: whether the switch was made before.
func (e *ELB) allIn(ctx context.Context, pool string, in []balancer.Member, g *group) (bool, error) {
	snap, err := g.look(ctx, e, time.Now())
	if err != nil {
		return false, err
	}
	for _, m := range in {
		places, err := e.places(pool, m, []*group{g})
		if err != nil {
			return false, err
		}
		if h, ok := snap.health[places[0].id()]; !ok || !healthy(h.TargetHealth) {
			return false, nil
		}
	}
	return true, nil
}

// leaveSide takes members out of the side that does not serve, after a switch that was not made.
func (e *ELB) leaveSide(ctx context.Context, pool string, members []balancer.Member, g *group) error {
	var all []place
	for _, m := range members {
		places, err := e.places(pool, m, []*group{g})
		if err != nil {
			return err
		}
		all = append(all, places...)
	}
	return e.takeOut(ctx, all)
}

// turn gives the idle side all weight, in one call.
func (e *ELB) turn(ctx context.Context, pool string, s sides) error {
	for i, t := range s.forward.TargetGroups {
		weight := int32(0)
		if aws.ToString(t.TargetGroupArn) == s.idle.arn {
			weight = whole
		}
		s.forward.TargetGroups[i].Weight = &weight
	}
	_, err := e.client.ModifyRule(ctx, &elasticloadbalancingv2.ModifyRuleInput{RuleArn: aws.String(e.pools[pool].Rule), Actions: s.actions})
	if err != nil {
		return fmt.Errorf("turn rule of pool %s to target group %s: %w", pool, s.idle.name, err)
	}
	return nil
}
