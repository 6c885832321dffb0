package master

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

const checkTimeout = 10 * time.Second

// getDoctor checks the master's side of a setup: what deployments need, before one needs it.
func (m *Master) getDoctor(ctx context.Context, _ *http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	checks := []fleet.Check{
		check("journal", "the disk of state_dir may be full or read-only", func() (string, error) {
			_, err := m.journal.Unended(ctx)
			return "readable", err
		}),
		check("store", "see the store section of master.yml", func() (string, error) {
			_, err := m.store.Has(ctx, fleet.Revision{App: "doctor", Digest: emptyDigest})
			return m.cfg.Store.Type + " answers", err
		}),
		check("git", "install git on the master", func() (string, error) { return exec.LookPath("git") }),
	}
	checks = append(checks, m.checkKeys(ctx))
	apps, err := m.apps.list()
	if err != nil {
		return append(checks, fleet.Check{Name: "applications", Detail: err.Error(), Mend: "correct the file in " + m.cfg.Apps}), nil
	}
	checks = append(checks, fleet.Check{Name: "applications", OK: true, Detail: fmt.Sprintf("%d in %s", len(apps), m.cfg.Apps)})
	for _, app := range apps {
		checks = append(checks, m.checkApp(ctx, app)...)
	}
	return checks, nil
}

const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (m *Master) checkKeys(ctx context.Context) fleet.Check {
	keys, err := m.keyring.List(ctx)
	if err != nil {
		return fleet.Check{Name: "keys", Detail: err.Error()}
	}
	pending := 0
	for _, k := range keys {
		if k.State == fleet.KeyPending {
			pending++
		}
	}
	c := fleet.Check{Name: "keys", OK: pending == 0, Detail: fmt.Sprintf("%d known, %d pending, %d connected", len(keys), pending, m.roster.presence.count())}
	if pending > 0 {
		c.Mend = "brine keys list, then brine keys accept ID"
	}
	return c
}

func (m *Master) checkApp(ctx context.Context, app fleet.Application) []fleet.Check {
	checks := []fleet.Check{
		check(fmt.Sprintf("source of %s", app.Name), "check source.url and the master's access to it", func() (string, error) {
			f, err := m.deployments.revisions.find(ctx, app, app.Source.Ref)
			return "ref " + f.origin.Ref + " is " + f.origin.Commit, err
		}),
	}
	for name, group := range app.Groups {
		checks = append(checks, check(fmt.Sprintf("group %s %s", app.Name, name), "brine target EXPR tries an expression; are the minions connected, is the balancer up?", func() (string, error) {
			minions, err := m.roster.match(group.Target)
			if err == nil && len(minions) == 0 {
				err = fmt.Errorf("target %q matches no minion", group.Target)
			}
			if err != nil {
				return "", err
			}
			away := 0
			for _, minion := range minions {
				if !minion.Connected {
					away++
				}
			}
			if away > 0 {
				return "", fmt.Errorf("%d of %d minions not connected", away, len(minions))
			}
			members, err := m.members(ctx, *group)
			return fmt.Sprintf("%d minions, %d pool members", len(minions), len(members)), err
		}))
	}
	return checks
}

func check(name, mend string, look func() (string, error)) fleet.Check {
	detail, err := look()
	if err != nil {
		return fleet.Check{Name: name, Detail: err.Error(), Mend: mend}
	}
	return fleet.Check{Name: name, OK: true, Detail: detail}
}
