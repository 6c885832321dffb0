package rollout

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// releaseTime bounds the command that gives hosts back.
const releaseTime = 10 * time.Minute

// keptStage names the pause in which the other side could be switched back to.
const keptStage = "the switch"

// ChooseSide decides, once, which side of a blue/green group does not serve: that one gets the revision. From then on the
// deployment is one of that side, which serves nobody, so no minimum is to be kept in it. It gives the group as the
// deployment sees it; any other group as it is.
func (r *Rollout) ChooseSide(ctx context.Context, group fleet.Group, d *fleet.Deployment) (fleet.Group, error) {
	bg := d.Strategy.BlueGreen
	if bg == nil {
		return group, nil
	}
	if d.Side == "" {
		side, err := r.idleSide(ctx, group, d, *bg)
		if err != nil {
			return group, err
		}
		d.Side, d.Strategy.MinHealthy = side, fleet.Amount{}
	}
	group.Target = bg.Target(d.Side)
	return group, nil
}

func (s *steps) chooseSide(ctx context.Context) (err error) {
	bg := s.d.Strategy.BlueGreen
	if s.group, err = s.ChooseSide(ctx, s.group, s.d); err != nil || bg == nil {
		return err
	}
	if _, ok := s.Balancers[s.pool().Use].(balancer.Switcher); bg.Unmixed && !ok {
		return refused(fmt.Errorf("balancer %s cannot switch a pool in one step, which unmixed wants", s.pool().Use))
	}
	return nil
}

func (s *steps) pool() fleet.PoolSpec {
	if s.group.Balancer == nil {
		return fleet.PoolSpec{}
	}
	return *s.group.Balancer
}

// idleSide is the one that was not switched to last. Before the first switch blue serves, if anything is live there.
func (r *Rollout) idleSide(ctx context.Context, group fleet.Group, d *fleet.Deployment, bg fleet.BlueGreen) (fleet.Side, error) {
	serving, err := r.Ledger.ServingSide(ctx, d.App, d.Group)
	if err != nil || serving != "" {
		return serving.Other(), err
	}
	group.Target = bg.Blue
	blue, err := r.Fleet.Candidates(ctx, d.App, group, d.Group)
	if slices.ContainsFunc(blue, func(c Candidate) bool { return c.Live != "" }) {
		return fleet.Green, err
	}
	return fleet.Blue, err
}

func (s *steps) side(ctx context.Context, bg fleet.BlueGreen, side fleet.Side) ([]Candidate, error) {
	group := s.group
	group.Target = bg.Target(side)
	return s.Fleet.Candidates(ctx, s.d.App, group, s.d.Group)
}

// switchOver lets the side that was installed serve, keeps the other for a while, and gives it back.
func (s *steps) switchOver(ctx context.Context) error {
	bg := s.d.Strategy.BlueGreen
	if bg == nil || len(s.in(fleet.Active))+len(s.in(fleet.Passed))+len(s.in(fleet.Activating)) == 0 {
		return nil
	}
	if !s.d.Switched {
		if err := s.setAll(ctx, fleet.Activating, s.in(fleet.Passed)); err != nil {
			return err
		}
		if err := s.turnTo(ctx, *bg, s.d.Side); err != nil {
			return err
		}
		s.mu.Lock()
		s.d.Switched = true
		err := s.setLocked(ctx, fleet.Active, s.in(fleet.Activating)...)
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if err := s.pause(ctx, s.kept()); err != nil {
		return err
	}
	return s.release(ctx, *bg)
}

// onServingSide reports whether a newcomer may serve: not when it is of the side of a blue/green group that does not.
func (s *steps) onServingSide(ctx context.Context, id fleet.MinionID) (bool, error) {
	bg := s.group.Strategy.BlueGreen
	if bg == nil {
		return true, nil
	}
	serving, err := s.Ledger.ServingSide(ctx, s.d.App, s.d.Group)
	if err != nil || serving == "" {
		return false, err
	}
	side, err := s.side(ctx, *bg, serving)
	return slices.ContainsFunc(side, func(c Candidate) bool { return c.Minion.ID == id }), err
}

// kept is the pause after the switch, if there is one.
func (s *steps) kept() *fleet.Pause {
	i := slices.IndexFunc(s.d.Pauses, func(p *fleet.Pause) bool { return p.Stage == keptStage })
	if i < 0 {
		return nil
	}
	return s.d.Pauses[i]
}

// turnTo makes one side serve, and the other not. What the balancer refuses ends the deployment.
func (s *steps) turnTo(ctx context.Context, bg fleet.BlueGreen, side fleet.Side) error {
	pool := s.pool()
	if pool.Use == "" {
		return nil
	}
	in, err := s.members(ctx, bg, side, true)
	if err != nil {
		return err
	}
	out, err := s.members(ctx, bg, side.Other(), false)
	if err != nil {
		return err
	}
	s.note(ctx, fmt.Sprintf("switching %s/%s to %s: %d in, %d out", pool.Use, pool.Pool, side, len(in), len(out)))
	if err := s.swap(ctx, pool, in, out); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return refused(fmt.Errorf("switch to %s: %w", side, err))
	}
	return nil
}

// members are those of a side: to come in, only minions that this deployment did not see fail, and that are there.
func (s *steps) members(ctx context.Context, bg fleet.BlueGreen, side fleet.Side, well bool) ([]balancer.Member, error) {
	candidates, err := s.side(ctx, bg, side)
	if err != nil {
		return nil, err
	}
	failed := s.in(fleet.MinionFailed)
	var out []balancer.Member
	for _, c := range candidates {
		bad := slices.ContainsFunc(failed, func(m *fleet.MinionProgress) bool { return m.Minion == c.Minion.ID })
		if well && (bad || c.Minion.Drained || c.Live == "") {
			continue
		}
		member, err := MemberOf(s.pool(), c.Minion)
		if err != nil {
			return nil, refused(err)
		}
		out = append(out, member)
	}
	return out, nil
}

// swap lets members in and takes others out: in one step where the balancer can, else first in, then out, so that there
// is always somebody.
func (s *steps) swap(ctx context.Context, pool fleet.PoolSpec, in, out []balancer.Member) error {
	b := s.Balancers[pool.Use]
	limit := pool.HealthyTimeout.Or(defaultHealthyTimeout) + pool.DrainTimeout.Or(defaultDrainTimeout)
	if one, ok := b.(balancer.Switcher); ok {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		// A balancer may be able to for some of its pools only.
		if err := one.Switch(limited, pool.Pool, in, out); !errors.Is(err, errors.ErrUnsupported) || s.d.Strategy.BlueGreen.Unmixed {
			return err
		}
	}
	if err := sideBySide(in, func(m balancer.Member) error {
		ctx, cancel := context.WithTimeout(ctx, pool.HealthyTimeout.Or(defaultHealthyTimeout))
		defer cancel()
		return b.Activate(ctx, pool.Pool, m)
	}); err != nil {
		return err
	}
	return sideBySide(out, func(m balancer.Member) error { return Drain(ctx, b, pool, m) })
}

// release runs the group's command, with the minions of the side that no longer serves as its last arguments. What was
// deployed serves whatever comes of it, so its failure is only told.
func (s *steps) release(ctx context.Context, bg fleet.BlueGreen) error {
	if len(bg.Release) == 0 {
		return nil
	}
	old, err := s.side(ctx, bg, s.d.Side.Other())
	if err != nil {
		return err
	}
	argv := slices.Clone(bg.Release)
	for _, c := range old {
		argv = append(argv, string(c.Minion.ID))
	}
	limited, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		s.note(ctx, fmt.Sprintf("release of %s: %s: %s", s.d.Side.Other(), strings.Join(argv, " "), err))
	}
	return ctx.Err()
}

// switchBack ends a blue/green deployment that must not go on: the other side was not touched, and serves, or serves again.
func (s *steps) switchBack(ctx context.Context, status fleet.DeploymentStatus, reason string, revert bool) error {
	other := s.d.Side.Other()
	if s.d.Side == "" || len(s.touched()) == 0 {
		return s.end(ctx, status, reason)
	}
	if s.d.Switched && !revert {
		return s.end(ctx, status, reason+"; "+string(s.d.Side)+" serves")
	}
	serving, err := s.Ledger.ServingSide(ctx, s.d.App, s.d.Group)
	if err != nil {
		return err
	}
	var refusedBack refusal
	err = s.turnTo(ctx, *s.d.Strategy.BlueGreen, other)
	switch {
	case errors.As(err, &refusedBack):
		return s.end(ctx, fleet.DeployFailed, reason+"; "+refusedBack.Error())
	case err != nil:
		return err
	case !s.d.Switched && serving == "" && s.d.Previous == "":
		return s.end(ctx, status, reason+"; nothing served before")
	}
	undone := s.d.Switched
	s.mu.Lock()
	s.d.Switched = false
	s.mu.Unlock()
	if undone || status == fleet.DeployFailed {
		status = fleet.Reverted
	}
	return s.end(ctx, status, reason+"; "+string(other)+" serves")
}
