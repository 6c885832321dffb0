package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/wire"
	"github.com/brine-deploy/brine/returners"
	all "github.com/brine-deploy/brine/returners/all"
)

// pagesAndBlobs is what the master serves to the network besides the bus: encrypted archives under signed URLs, and the
// pages of returners, such as /metrics.
func (m *Master) pagesAndBlobs() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/blobs/", m.blobs)
	for _, p := range m.pages {
		mux.Handle("GET "+p.Path(), p)
	}
	return mux
}

// wireReturners makes the configured returners. There is a page of metrics when one of them is such a page.
func (m *Master) wireReturners() error {
	for name, section := range m.cfg.Returners {
		r, err := all.List().New(section.Type, section, m.log.With("returner", name))
		if err != nil {
			return named("returner "+name, err)
		}
		if page, ok := r.(returners.Page); ok {
			m.pages = append(m.pages, page)
		}
		if c, ok := r.(io.Closer); ok { // its pump closes it, if things come to that
			m.teardown = append(m.teardown, c.Close)
		}
		m.pumps = append(m.pumps, &returners.Pump{Name: name, Log: m.journal, Returner: r, Logger: m.log})
	}
	for _, page := range m.pages {
		if g, ok := page.(returners.Gauger); ok {
			m.gauges(g)
			m.measure(g)
		}
	}
	return nil
}

func (m *Master) gauges(g returners.Gauger) {
	g.Gauge("brine_minions_connected", "Minions that are connected now.", func() float64 { return float64(m.roster.presence.count()) })
	g.Gauge("brine_minions_accepted", "Minions whose key is accepted.", func() float64 { return float64(m.roster.size()) })
	g.Gauge("brine_minions_spooled_returns", "Returns that wait on connected minions, as they said last.", func() float64 {
		waiting, _ := m.roster.presence.spooled()
		return float64(waiting)
	})
	g.Gauge("brine_minions_spool_dropped", "Parts of returns that full spools of connected minions have lost.", func() float64 {
		_, dropped := m.roster.presence.spooled()
		return float64(dropped)
	})
}

// urls is the store as revisions see it: an archive that the store cannot hand out itself is handed out by the master.
type urls struct{ *Master }

// Has finds out what can be found out without reading the archive: that somebody cut it short, for example.
func (u urls) Has(ctx context.Context, revision fleet.Revision) (bool, error) {
	size, err := u.store.Stat(ctx, revision)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err == nil && size != revision.Stored:
		return false, fmt.Errorf("archive %s has %d bytes instead of %d: it was changed there; remove it from the store and deploy its ref, which builds it again",
			store.Name(revision), size, revision.Stored)
	}
	return err == nil, err
}

func (u urls) URL(ctx context.Context, revision fleet.Revision, ttl time.Duration) (string, error) {
	url, ok, err := u.store.Presign(ctx, revision, ttl)
	if ok || err != nil {
		return url, err
	}
	return u.blobs.URL(u.blobBase(), store.Name(revision), time.Now().Add(ttl)), nil
}

// blobBase is where minions find the master's HTTP listener: where the configuration says, or else at the host that they
// know as the master, which an empty host stands for.
func (m *Master) blobBase() string {
	if m.cfg.HTTP.Advertise != "" {
		return m.cfg.HTTP.Advertise
	}
	_, port, _ := net.SplitHostPort(m.http.Addr().String())
	return "http://:" + port
}

// answers are the requests that minions send.
func (m *Master) answers() map[string]answer {
	return map[string]answer{
		wire.RequestHighstate: m.highstate,
		wire.RequestFiles:     m.files,
		wire.RequestFile:      m.file,
		wire.RequestPillar:    m.pillar,
		wire.RequestGrains:    m.grains,
	}
}

// fleetOf is the minions as a rollout sees them.
type fleetOf struct{ *Master }

func (f fleetOf) Candidates(ctx context.Context, app fleet.AppName, group fleet.Group, name fleet.GroupName) ([]rollout.Candidate, error) {
	return f.roster.candidates(ctx, app, group, name)
}

func (f fleetOf) Find(_ context.Context, group fleet.Group, id fleet.MinionID) (fleet.Minion, bool, error) {
	return f.roster.find(group.Target, id)
}

func (f fleetOf) Publish(ctx context.Context, d *fleet.Deployment, jobs []fleet.Job) error {
	return f.dispatcher.publish(ctx, d, jobs)
}

func (f fleetOf) GoneSince(minion fleet.MinionID) time.Time {
	return f.roster.presence.goneSince(minion)
}

func (f fleetOf) Kill(ctx context.Context, job fleet.JobID, by string) error {
	_, err := f.dispatcher.kill(ctx, job, by)
	return err
}

var _ rollout.Fleet = fleetOf{}
