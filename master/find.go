package master

import (
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
)

// find gives one accepted minion if an expression matches it, without a look at the others.
func (r *roster) find(expr string, id fleet.MinionID) (m fleet.Minion, ok bool, err error) {
	if m, ok = r.get(id); !ok {
		return m, false, nil
	}
	t, err := target.ParseWith(expr, r.nodegroups)
	if err != nil {
		return m, false, err
	}
	subject := target.Subject{ID: id, Grains: m.Grains, Tags: m.Tags}
	if t.LooksAtPillar() {
		subject.Pillar = r.pillars.of([]fleet.Minion{m})[id]
	}
	return m, t.Match(subject), nil
}
