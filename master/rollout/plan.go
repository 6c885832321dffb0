package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Candidate is a minion that a group's target matches, and the revision that is live there.
type Candidate struct {
	Minion fleet.Minion
	Live   fleet.Digest
}

// Order is what a plan is asked for.
type Order struct {
	Group    fleet.Group
	Revision fleet.Digest // empty: not built yet, so no minion can be at it
	Force    bool         // also minions that are at the revision already
	Now      time.Time
}

// Batches decides who gets the revision and in which order: minions where nothing is live first, then by id, in
// batches of the strategy's size. A batch never takes so many serving minions out that fewer than the minimum stay.
// Minions that are left out come last, with the reason.
func Batches(order Order, candidates []Candidate) ([]fleet.PlanMinion, error) {
	var chosen []Candidate
	var skipped []fleet.PlanMinion
	serving := 0
	for _, c := range candidates {
		if c.Live != "" && c.Minion.Connected && !c.Minion.Drained {
			serving++
		}
		if why := skip(order, c); why != "" {
			skipped = append(skipped, fleet.PlanMinion{Minion: c.Minion.ID, Batch: -1, Current: c.Live, Skip: why, Away: !c.Minion.Connected && !c.Minion.Drained})
			continue
		}
		chosen = append(chosen, c)
	}
	slices.SortFunc(chosen, func(a, b Candidate) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(string(a.Minion.ID), string(b.Minion.ID)))
	})
	slices.SortFunc(skipped, func(a, b fleet.PlanMinion) int { return strings.Compare(string(a.Minion), string(b.Minion)) })

	planned, err := split(order.Group.Strategy, chosen, serving, len(candidates))
	if err != nil {
		return nil, err
	}
	for i := range planned {
		m := chosen[i].Minion
		if pool := order.Group.Balancer; pool != nil {
			member, err := MemberOf(*pool, m)
			if err != nil {
				return nil, err
			}
			planned[i].Member, planned[i].Address = member.Name, member.Address
		}
	}
	return append(planned, skipped...), nil
}

// rank puts minions without a live release before the others: they serve nothing that could be lost.
func rank(c Candidate) int {
	if c.Live == "" {
		return 0
	}
	return 1
}

func skip(order Order, c Candidate) string {
	switch {
	case c.Minion.Drained:
		return "drained by an operator"
	case !c.Minion.Connected:
		return Away(c.Minion.Since, order.Now)
	case order.Revision != "" && c.Live == order.Revision && !order.Force:
		return "already at this revision"
	default:
		return ""
	}
}

// Away says in words that a minion is not connected.
func Away(since, now time.Time) string {
	if since.IsZero() {
		return "not connected yet"
	}
	return fmt.Sprintf("not connected since %s (%s)", since.Local().Format(time.DateTime), now.Sub(since).Round(time.Second))
}

// split cuts the chosen minions into batches. It supposes that each batch serves again before the next begins.
func split(s fleet.Strategy, chosen []Candidate, serving, total int) ([]fleet.PlanMinion, error) {
	size := max(1, s.Batch.Of(len(chosen)))
	minimum := s.MinHealthy.Of(total)
	planned := make([]fleet.PlanMinion, 0, len(chosen))
	batch, inBatch, out, fresh := 0, 0, 0, 0
	for _, c := range chosen {
		takesOut := rank(c)
		if inBatch == size || inBatch > 0 && takesOut > 0 && serving-out-1 < minimum {
			batch++
			serving += fresh
			inBatch, out, fresh = 0, 0, 0
		}
		if takesOut > 0 && serving-out-1 < minimum {
			return nil, fmt.Errorf("min_healthy %s of %d minions is %d, and %d serve: none can be taken out; lower min_healthy or add minions",
				s.MinHealthy, total, minimum, serving)
		}
		inBatch++
		out += takesOut
		fresh += 1 - takesOut
		planned = append(planned, fleet.PlanMinion{Minion: c.Minion.ID, Batch: batch, Current: c.Live})
	}
	return planned, nil
}
