package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Candidate is a minion that a group's target matches, and how it stands there.
type Candidate struct {
	Minion fleet.Minion
	Live   fleet.Digest // empty: nothing is live, or nobody knows what
	Sick   bool         // its balancer finds it down: it serves nothing, whatever is live there
}

// serves reports whether taking the minion out would be felt.
func (c Candidate) serves() bool {
	return c.Live != "" && !c.Sick && c.Minion.Connected && !c.Minion.Drained
}

// Order is what a plan is asked for.
type Order struct {
	Group    fleet.Group
	Revision fleet.Digest     // empty: not built yet, so no minion can be at it
	Force    bool             // also minions that are at the revision already
	Only     []fleet.MinionID // of a retry: nobody else; all when empty
	Now      time.Time
}

// Batches decides who gets the revision and in which order: sick minions first, then those where nothing is live, those
// at another revision, those at this one already; the same by id. Zones follow each other, a canary comes before
// all, and what follows them is a pause. No batch takes so many serving minions out that fewer than the minimum stay.
// Minions that are left out come last, with the reason.
func Batches(order Order, candidates []Candidate) ([]fleet.PlanMinion, []*fleet.Pause, error) {
	chosen, skipped := choose(order, candidates)
	c := newCutter(order.Group.Strategy, candidates)
	stages := stagesOf(order, chosen)
	for i, stage := range stages {
		if err := c.cut(stage); err != nil {
			return nil, nil, err
		}
		if i < len(stages)-1 {
			c.pause(stage)
		}
	}
	for i := range c.planned {
		if pool := order.Group.Balancer; pool != nil {
			member, err := MemberOf(*pool, *c.minions[i])
			if err != nil {
				return nil, nil, err
			}
			c.planned[i].Member, c.planned[i].Address = member.Name, member.Address
		}
	}
	return append(c.planned, skipped...), c.pauses, nil
}

// choose parts the minions into those that get the revision, in their order, and those that are left out, by id.
func choose(order Order, candidates []Candidate) (chosen []Candidate, skipped []fleet.PlanMinion) {
	chosen = make([]Candidate, 0, len(candidates))
	only := map[fleet.MinionID]bool{}
	for _, id := range order.Only {
		only[id] = true
	}
	for _, c := range candidates {
		if len(only) > 0 && !only[c.Minion.ID] {
			continue
		}
		if why := skip(order, c); why != "" {
			skipped = append(skipped, fleet.PlanMinion{Minion: c.Minion.ID, Batch: -1, Current: c.Live, Skip: why, Away: !c.Minion.Connected && !c.Minion.Drained})
			continue
		}
		chosen = append(chosen, c)
	}
	slices.SortFunc(chosen, func(a, b Candidate) int {
		return cmp.Or(rank(order, a)-rank(order, b), strings.Compare(string(a.Minion.ID), string(b.Minion.ID)))
	})
	slices.SortFunc(skipped, func(a, b fleet.PlanMinion) int { return strings.Compare(string(a.Minion), string(b.Minion)) })
	return chosen, skipped
}

// rank is CodeDeploy's order: who has least to lose goes first.
func rank(order Order, c Candidate) int {
	switch {
	case c.Sick:
		return 0
	case c.Live == "":
		return 1
	case c.Live != order.Revision:
		return 2
	default:
		return 3
	}
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

// stage is a part of a rollout that is done before the next begins.
type stage struct {
	name    string
	minions []Candidate
	atOnce  int
	pause   fleet.Pause // after it
}

// canaryStage names the minions that go before all others.
const canaryStage = "canary"

// stagesOf cuts the chosen minions by zone, and puts the canary before them.
func stagesOf(order Order, chosen []Candidate) []stage {
	s := order.Group.Strategy
	stages := zonesOf(s, chosen)
	if s.Canary == nil || len(stages) == 0 {
		return stages
	}
	first := &stages[0]
	n := min(s.Canary.Amount.AtOnce(len(chosen)), len(first.minions))
	canary := stage{name: canaryStage, minions: first.minions[:n], atOnce: n}
	canary.pause = fleet.Pause{Bake: s.Canary.Bake, Approve: s.Canary.Approve, Within: s.Canary.Within}
	if first.minions = first.minions[n:]; len(first.minions) == 0 {
		stages = stages[1:]
	}
	return append([]stage{canary}, stages...)
}

func zonesOf(s fleet.Strategy, chosen []Candidate) []stage {
	if len(chosen) == 0 {
		return nil
	}
	if s.Zones == nil {
		return []stage{{minions: chosen, atOnce: s.Batch.AtOnce(len(chosen))}}
	}
	byZone := map[string][]Candidate{}
	for _, c := range chosen {
		zone := zoneOf(s, c.Minion)
		byZone[zone] = append(byZone[zone], c)
	}
	var stages []stage
	for i, zone := range slices.Sorted(maps.Keys(byZone)) {
		watch := s.Zones.Then
		if i == 0 {
			watch = s.Zones.First
		}
		minions := byZone[zone]
		stages = append(stages, stage{name: "zone " + zone, minions: minions, atOnce: s.Batch.AtOnce(len(minions)), pause: fleet.Pause{Bake: watch}})
	}
	return stages
}

// zoneOf is the zone of a minion; those without the grain are a zone too.
func zoneOf(s fleet.Strategy, m fleet.Minion) string {
	if s.Zones == nil {
		return ""
	}
	zone, ok := grain(map[string]any(m.Grains), s.Zones.By)
	if !ok {
		return "unknown"
	}
	return zone
}

// cutter cuts stages into batches. It supposes that each batch serves again before the next begins.
type cutter struct {
	strategy fleet.Strategy
	service  service
	planned  []fleet.PlanMinion
	minions  []*fleet.Minion // of planned
	pauses   []*fleet.Pause
	batch    int // number of the next one
}

func newCutter(s fleet.Strategy, candidates []Candidate) *cutter {
	n := len(candidates)
	return &cutter{strategy: s, service: inService(s, candidates, nil), planned: make([]fleet.PlanMinion, 0, n), minions: make([]*fleet.Minion, 0, n)}
}

func (c *cutter) cut(st stage) error {
	size := st.atOnce
	if c.strategy.Window {
		size = 1
	}
	var now []Candidate
	flush := func() {
		if len(now) > 0 {
			c.batch++
			for _, m := range now {
				c.service.back(c.strategy, m)
			}
			now = nil
		}
	}
	for i := range st.minions {
		m := st.minions[i]
		if len(now) == size || len(now) > 0 && c.service.refuses(c.strategy, m) != "" {
			flush()
		}
		if why := c.service.refuses(c.strategy, m); why != "" {
			return fmt.Errorf("%s: none can be taken out; lower min_healthy or add minions", why)
		}
		c.service.out(c.strategy, m)
		now = append(now, m)
		c.minions = append(c.minions, &st.minions[i].Minion)
		c.planned = append(c.planned, fleet.PlanMinion{Minion: m.Minion.ID, Batch: c.batch, Stage: st.name, Current: m.Live})
	}
	flush()
	return nil
}

func (c *cutter) pause(st stage) {
	if p := st.pause; p.Bake > 0 || p.Approve {
		p.After, p.Stage = c.batch-1, st.name
		c.pauses = append(c.pauses, &p)
	}
}

// MayTakeOut says why a batch cannot be taken out of service while the busy minions are; empty when it can.
func MayTakeOut(s fleet.Strategy, candidates []Candidate, busy, batch map[fleet.MinionID]bool) string {
	v := inService(s, candidates, busy)
	for _, c := range candidates {
		if !batch[c.Minion.ID] || busy[c.Minion.ID] {
			continue
		}
		if why := v.refuses(s, c); why != "" {
			return why
		}
		v.out(s, c)
	}
	return ""
}

// service counts who serves, in all and by zone, against the minimums.
type service struct {
	serving, minimum, total int
	zones                   map[string]*service // nil without a minimum of zones
}

// inService counts the candidates; those that are busy do not serve now.
func inService(s fleet.Strategy, candidates []Candidate, busy map[fleet.MinionID]bool) service {
	all := service{total: len(candidates), minimum: s.MinHealthy.Of(len(candidates))}
	if s.Zones != nil && s.Zones.MinHealthy.Value > 0 {
		all.zones = map[string]*service{}
	}
	for _, c := range candidates {
		in := 0
		if c.serves() && !busy[c.Minion.ID] {
			in = 1
		}
		all.serving += in
		if all.zones == nil {
			continue
		}
		zone := zoneOf(s, c.Minion)
		if all.zones[zone] == nil {
			all.zones[zone] = &service{}
		}
		all.zones[zone].serving += in
		all.zones[zone].total++
		all.zones[zone].minimum = s.Zones.MinHealthy.Of(all.zones[zone].total)
	}
	return all
}

// refuses says why a minion cannot be taken out now; empty when it can.
func (v service) refuses(s fleet.Strategy, c Candidate) string {
	if !c.serves() {
		return ""
	}
	if v.serving-1 < v.minimum {
		return fmt.Sprintf("min_healthy %s of %d minions is %d, and %d serve", s.MinHealthy, v.total, v.minimum, v.serving)
	}
	zone := zoneOf(s, c.Minion)
	if z := v.zones[zone]; z != nil && z.serving-1 < z.minimum {
		return fmt.Sprintf("min_healthy %s of %d minions in zone %s is %d, and %d serve", s.Zones.MinHealthy, z.total, zone, z.minimum, z.serving)
	}
	return ""
}

func (v *service) out(s fleet.Strategy, c Candidate) {
	if c.serves() {
		v.add(s, c, -1)
	}
}

// back lets a minion in after its batch: it serves then, whether it did before or not.
func (v *service) back(s fleet.Strategy, c Candidate) { v.add(s, c, 1) }

func (v *service) add(s fleet.Strategy, c Candidate, n int) {
	v.serving += n
	if z := v.zones[zoneOf(s, c.Minion)]; z != nil {
		z.serving += n
	}
}
