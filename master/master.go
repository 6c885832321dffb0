// Package master is the daemon that holds the fleet: it wires the stations together, runs their loops and takes them
// down again. Read [Master.Run] for what goes on at the same time, and package rollout for the story of a deployment.
package master

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/master/balancer"
	balancers "github.com/brine-deploy/brine/master/balancer/all"
	"github.com/brine-deploy/brine/master/blobs"
	"github.com/brine-deploy/brine/master/build"
	"github.com/brine-deploy/brine/master/gate"
	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/journal/sqlite"
	"github.com/brine-deploy/brine/master/keyring"
	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/master/tree"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/statedir"
	"github.com/brine-deploy/brine/pkg/store"
	stores "github.com/brine-deploy/brine/pkg/store/all"
	"github.com/brine-deploy/brine/pkg/wire"
	"github.com/brine-deploy/brine/pkg/wire/keyfile"
	"github.com/brine-deploy/brine/returners"
)

// releaseFunction is the job that brings a revision to a minion.
const releaseFunction = "deploy.release"

// blobSecret is the length in bytes of the key that signs archive URLs: that of its HMAC-SHA256.
const blobSecret = 32

// Master is the daemon. Make it with New, then call Run once.
type Master struct {
	cfg     config.Master
	version string
	log     *slog.Logger

	masterKey   wire.MasterKey
	bus         *bus.Server
	journal     *journal.Journal
	keyring     *keyring.Keyring
	roster      *roster
	apps        *applications
	store       *store.Store
	blobs       *blobs.Endpoint
	tree        *tree.Tree
	rollout     *rollout.Rollout
	deployments *deployments
	scaling     *scaling
	dispatcher  *dispatcher
	pumps       []*returners.Pump
	pages       []returners.Page
	api         net.Listener
	http        net.Listener

	teardown []func() error // last in, first out
}

// New makes a master of its configuration and opens all that it listens on and writes to. When it fails, it has closed
// what it had opened.
func New(ctx context.Context, cfg config.Master, version string, log *slog.Logger) (*Master, error) {
	m := &Master{cfg: cfg, version: version, log: log}
	if err := m.wire(ctx); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *Master) wire(ctx context.Context) error {
	state := m.cfg.StateDir
	release, err := statedir.Own(state)
	if err != nil {
		return err
	}
	m.teardown = append(m.teardown, release)
	if m.journal, err = sqlite.Open(filepath.Join(state, "journal.db")); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	m.teardown = append(m.teardown, m.journal.Close)

	busKey, err := bus.LoadOrCreateKey(filepath.Join(state, "bus.key"))
	if err != nil {
		return fmt.Errorf("bus key: %w", err)
	}
	signKey, err := wire.LoadOrCreateSigningKey(filepath.Join(state, "sign.key"))
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	m.masterKey = wire.MasterKey{Bus: busKey.Public, Sign: signKey.Public()}

	m.roster = &roster{journal: m.journal, log: m.log, nodegroups: m.cfg.Nodegroups}
	if err := m.roster.load(ctx); err != nil {
		return err
	}
	if m.keyring, err = keyring.New(ctx, m.journal, m.keyChanged); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if err := m.wireStore(state); err != nil {
		return err
	}
	if err := m.wireRollouts(state); err != nil {
		return err
	}
	if m.tree, err = tree.New(m.cfg.States, m.cfg.Nodegroups, state, m.log); err != nil {
		return err
	}
	m.roster.pillars.compile = func(ctx context.Context, minion fleet.Minion) (*data.Map, error) {
		return m.tree.Pillar(ctx, minion, nil)
	}
	if err := m.wireReturners(); err != nil {
		return err
	}
	m.dispatcher = &dispatcher{
		journal: m.journal, keyring: m.keyring, roster: m.roster, presence: m.roster.presence, sign: signKey,
		answers: m.answers(), back: m.deployments.returned, hold: m.deployments.hold, log: m.log, returns: make(chan wireReturn, returnsQueue),
	}
	m.rollout.Fleet = fleetOf{m}
	if err := m.wireClouds(); err != nil {
		return err
	}
	return m.listen(busKey)
}

// wireStore opens the store; archives that it cannot hand out itself are served by the master.
func (m *Master) wireStore(state string) error {
	driver, err := stores.List().New(m.cfg.Store.Type, m.cfg.Store, m.log)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	m.store = store.New(driver)
	secret, err := keyfile.LoadOrCreate(filepath.Join(state, "blobs.key"), blobSecret, func() ([]byte, error) {
		b := make([]byte, blobSecret)
		_, err := rand.Read(b)
		return b, err
	})
	if err != nil {
		return fmt.Errorf("blob key: %w", err)
	}
	m.blobs = blobs.New(driver, secret)
	return nil
}

func (m *Master) wireRollouts(state string) error {
	known := map[string]balancer.Balancer{}
	for name, section := range m.cfg.Balancers {
		b, err := balancers.Balancers().New(section.Type, section, m.log.With("balancer", name))
		if err != nil {
			return fmt.Errorf("balancer %s: %w", name, err)
		}
		if k, ok := b.(balancer.StateKeeper); ok {
			if err := k.KeepState(filepath.Join(state, "balancers", name+".json")); err != nil {
				return fmt.Errorf("balancer %s: %w", name, err)
			}
		}
		known[name] = b
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	m.apps = &applications{dir: m.cfg.Apps, balancers: names}
	if _, err := m.apps.list(); err != nil {
		return err
	}
	archives := &revisions{
		journal: m.journal, store: urls{m}, identities: identities{dir: filepath.Join(state, "identities"), mu: new(sync.Mutex)}, cacheDir: filepath.Join(state, "cache"),
		builder: &build.Builder{Store: m.store, Scratch: filepath.Join(state, "scratch")},
	}
	m.rollout = &rollout.Rollout{Ledger: m.journal, Revisions: archives, Balancers: known, Gate: gate.New(), Log: m.log}
	m.deployments = &deployments{
		apps: m.apps, journal: m.journal, roster: m.roster, revisions: archives, rollout: m.rollout, log: m.log, bringing: map[string]bool{}, held: map[fleet.MinionID]bool{},
		locks: &locks{apps: m.apps, journal: m.journal},
	}
	return nil
}

func (m *Master) listen(key bus.KeyPair) error {
	var err error
	if m.http, err = net.Listen("tcp", m.cfg.HTTP.Listen); err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	m.teardown = append(m.teardown, closeListener(m.http))
	if m.api, err = listenAPI(m.cfg.API); err != nil {
		return err
	}
	m.teardown = append(m.teardown, closeListener(m.api))
	m.bus, err = bus.Listen(bus.ServerConfig{
		Listen: m.cfg.Bus.Listen, Key: key, Log: m.log, Limits: bus.Limits{Heartbeat: m.cfg.Bus.Interval()},
		Authorize: func(key fleet.Key, from net.Addr) (string, error) {
			return m.keyring.Authorize(context.Background(), key, from)
		},
		Guest: keyring.IsPending, Connected: m.dispatcher.connected, Disconnected: m.dispatcher.disconnected,
	})
	if err != nil {
		return fmt.Errorf("bus.listen: %w", err)
	}
	m.dispatcher.bus = m.bus
	m.teardown = append(m.teardown, m.bus.Close)
	return nil
}

// Run serves until ctx is done, and returns when everything has stopped. ready is called once all doors are open.
func (m *Master) Run(ctx context.Context, ready func()) error {
	g, ctx := errgroup.WithContext(ctx)
	m.deployments.ctx = ctx
	g.Go(func() error { return m.dispatcher.receive(ctx) })
	g.Go(func() error { return m.dispatcher.record(ctx) })
	g.Go(func() error { return m.dispatcher.expire(ctx) })
	g.Go(func() error { m.roster.giveUp(ctx); return nil })
	g.Go(func() error { return m.tree.Run(ctx) })
	g.Go(func() error { tidy(ctx); return nil })
	g.Go(func() error { m.scaling.run(ctx); return nil })
	g.Go(func() error { return serve(ctx, m.api, m.routes()) })
	g.Go(func() error { return serve(ctx, m.http, m.pagesAndBlobs()) })
	for name, b := range m.rollout.Balancers {
		if s, ok := b.(balancer.Server); ok {
			g.Go(func() error { return named("balancer "+name, s.Serve(ctx)) })
		}
	}
	for _, p := range m.pumps {
		g.Go(func() error { return named("returner "+p.Name, p.Run(ctx)) })
	}
	g.Go(func() error { return m.deployments.resume(ctx) })
	m.log.Info("master is up", "version", m.version, "bus", m.bus.Addr(), "http", m.http.Addr(), "api", m.cfg.API.Socket, "fingerprint", m.masterKey.Bus.Fingerprint())
	ready()
	err := g.Wait()
	m.deployments.running.Wait()
	m.dispatcher.stopping.Store(true)
	return errors.Join(err, m.close())
}

func (m *Master) close() error {
	var errs []error
	for _, undo := range slices.Backward(m.teardown) {
		errs = append(errs, undo())
	}
	m.teardown = nil
	return errors.Join(errs...)
}

// keyChanged follows the keyring: a key that lost its standing, or got one, has to connect anew.
func (m *Master) keyChanged(k fleet.MinionKey) {
	m.roster.keyChanged(k)
	if m.bus == nil {
		return
	}
	if k.State != fleet.KeyPending { // which it was before, as a stranger
		m.bus.Disconnect(keyring.Pending(k.Key))
	}
	if k.State != fleet.KeyAccepted {
		m.bus.Disconnect(string(k.ID))
	}
}

const (
	shutdownGrace = 5 * time.Second
	headerTimeout = 10 * time.Second
)

// serve serves HTTP until ctx is done.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ConnContext: withCaller,
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		cut() // streams that follow would never end by themselves
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if srv.Shutdown(bounded) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
