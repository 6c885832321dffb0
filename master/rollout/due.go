package rollout

import (
	"slices"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Due says whether a minion that asks for its revision while a deployment runs gets that deployment's: it is there
// already, or has no part in the plan and the revision has shown itself good. Otherwise the group's target is due: it is
// in the plan and its turn will come, or the deployment may yet be reverted.
func Due(d *fleet.Deployment, minion fleet.MinionID) bool {
	i := slices.IndexFunc(d.Minions, func(m *fleet.MinionProgress) bool { return m.Minion == minion })
	if i >= 0 && d.Minions[i].Phase != fleet.Skipped {
		return d.Minions[i].Phase == fleet.Active
	}
	return pastCanary(d)
}

// pastCanary reports whether a deployment trusts its revision: its canary serves, and its pause is over. Without a
// canary the first minion that serves is one. A side of blue/green serves when it is switched to, not before.
func pastCanary(d *fleet.Deployment) bool {
	if d.Status != fleet.Running || d.Stop != nil || d.Strategy.BlueGreen != nil {
		return false
	}
	for _, p := range d.Pauses {
		if p.Stage == canaryStage && !p.Done {
			return false
		}
	}
	served := false
	for _, m := range d.Minions {
		active := m.Phase == fleet.Active
		if m.Stage == canaryStage && !active && m.Phase != fleet.MinionFailed && m.Phase != fleet.Skipped {
			return false
		}
		served = served || active
	}
	return served
}
