// Package minion is the daemon on every host: it connects to the master, writes its jobs down, runs them, and keeps
// their returns until the master has them. Read [Minion.Run] for what goes on at the same time.
package minion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/minion/inbox"
	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/minion/runner"
	"github.com/brine-deploy/brine/minion/spool"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/statedir"
	"github.com/brine-deploy/brine/pkg/wire"
)

// finalPart is the part number of a last part that a restarted minion writes: it no longer knows how many came before.
const finalPart = math.MaxInt32

// Minion is the daemon. Make it with New, then call Run once.
type Minion struct {
	cfg     config.Minion
	version string
	log     *slog.Logger

	key       bus.KeyPair
	masterKey wire.MasterKey
	spool     *spool.Spool
	inbox     *inbox.Inbox
	runner    *runner.Runner
	functions map[string]function
	boot      string // tells this run of the daemon from others
	way       way

	live      live // whose output somebody watches
	highstate highstate
	accepted  atomic.Bool // the master has accepted the key at some time

	grains   sync.Mutex    // held while grains are set
	applying chan struct{} // full while a job applies states
	asker    *asker
	files    *fileroot.Remote // of states, as the master has them
	told     told

	mu     sync.Mutex
	queues map[string]chan fleet.Job // guarded by mu; jobs with the same key run one after the other
	tasks  map[fleet.JobID]*task     // guarded by mu; jobs that wait or run

	supervisor process.Supervisor
	left       map[fleet.JobID]bool // jobs that an earlier run of the daemon left, to go on with

	teardown []func() error
}

// New opens a minion's state. A host's key is made at the first start; it is the host's identity. Hooks run under the
// supervisor, and so outlive the daemon; under its zero value they end with it.
func New(cfg config.Minion, version string, log *slog.Logger, supervisor process.Supervisor) (*Minion, error) {
	m := &Minion{cfg: cfg, version: version, log: log, supervisor: supervisor, left: map[fleet.JobID]bool{}, queues: map[string]chan fleet.Job{}, tasks: map[fleet.JobID]*task{}, boot: time.Now().UTC().Format(time.RFC3339Nano)}
	if err := m.wire(); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *Minion) wire() error {
	var err error
	if m.masterKey, err = masterKey(m.cfg); err != nil {
		return err
	}
	dir := m.cfg.StateDir
	release, err := statedir.Own(dir)
	if err != nil {
		return err
	}
	m.teardown = append(m.teardown, release)
	if m.key, err = bus.LoadOrCreateKey(filepath.Join(dir, "minion.key")); err != nil {
		return fmt.Errorf("minion key: %w", err)
	}
	if m.spool, err = spool.Open(filepath.Join(dir, "spool"), spoolBytes); err != nil {
		return fmt.Errorf("open spool: %w", err)
	}
	m.teardown = append(m.teardown, m.spool.Close)
	if m.inbox, err = inbox.Open(filepath.Join(dir, "inbox")); err != nil {
		return fmt.Errorf("open inbox: %w", err)
	}
	m.teardown = append(m.teardown, m.inbox.Close)
	if torn := m.spool.Torn() + m.inbox.Torn(); torn > 0 {
		m.log.Warn("the end of a log was torn and is cut off", "bytes", torn)
	}
	host, _, err := net.SplitHostPort(m.cfg.Master)
	if err != nil {
		return fmt.Errorf("master %q is not host:port: %w", m.cfg.Master, err)
	}
	archives, size := m.cfg.Cache.Limits()
	m.runner, err = runner.New(runner.Config{
		StateDir: filepath.Join(dir, "releases"), MasterHost: host, Minion: fleet.MinionID(m.cfg.ID), Log: m.log, Version: m.version, Supervisor: m.supervisor,
		Archives: archives, CacheBytes: size,
	})
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	m.applying, m.asker = make(chan struct{}, 1), newAsker()
	if m.files, err = fileroot.NewRemote(filepath.Join(dir, "cache", "master"), masterFiles{m.asker}); err != nil {
		return err
	}
	if err := m.files.Sweep(0); err != nil {
		return fmt.Errorf("clean cache of files: %w", err)
	}
	m.functions = m.table()
	m.highstate.wanted = m.cfg.Startup == config.StartupHighstate
	_, err = os.Stat(m.acceptedMark())
	m.accepted.Store(err == nil)
	return nil
}

const spoolBytes = 256 << 20

func masterKey(cfg config.Minion) (wire.MasterKey, error) {
	text := cfg.MasterKey
	if text == "" && cfg.MasterKeyFile != "" {
		b, err := os.ReadFile(cfg.MasterKeyFile)
		if err != nil {
			return wire.MasterKey{}, fmt.Errorf("master_key_file: %w", err)
		}
		text = string(b)
	}
	if text == "" {
		return wire.MasterKey{}, errors.New("master_key is not set: put there what `brine keys fingerprint` prints on the master")
	}
	key, err := wire.ParseMasterKey(text)
	if err != nil {
		return wire.MasterKey{}, fmt.Errorf("master_key: %w", err)
	}
	return key, nil
}

// Run serves until ctx is done: first it brings back what a dead minion left in the middle, then it connects. ready is
// called at once: bringing an old release back may take as long as its start scripts do, and must not be cut short.
func (m *Minion) Run(ctx context.Context, ready func()) error {
	ready()
	if err := m.recover(ctx); err != nil {
		return errors.Join(err, m.close())
	}
	m.log.Info("minion is up", "id", m.cfg.ID, "version", m.version, "master", m.cfg.Master, "fingerprint", m.key.Public.Fingerprint())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { m.followGrains(ctx); return nil })
	g.Go(func() error { m.repeatHighstate(ctx); return nil })
	jobs, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { stop(runner.ErrLeft) })
	start := func(job fleet.Job) { m.enqueue(jobs, g, job) }
	for _, job := range slices.Concat(m.inbox.Unfinished(), m.inbox.Unstarted()) {
		start(job) // of the unfinished only those are left that go on
	}
	g.Go(func() error {
		cfg := bus.ClientConfig{
			Master: m.cfg.Master, Key: m.key, MasterKey: m.masterKey.Bus, Log: m.log, Limits: bus.Limits{Heartbeat: m.cfg.Bus.Interval()},
		}
		return bus.Stay(ctx, cfg, func(ctx context.Context, c *bus.Client) error { return m.serve(ctx, c, start) }, m.notConnected)
	})
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, m.close())
}

func (m *Minion) notConnected(err error, next time.Duration) {
	m.log.Warn("not connected to the master", "master", m.cfg.Master, "error", err, "next_try", next.Round(time.Millisecond))
}

func (m *Minion) close() error {
	var errs []error
	for _, undo := range slices.Backward(m.teardown) {
		errs = append(errs, undo())
	}
	m.teardown = nil
	return errors.Join(errs...)
}

// recover brings the host back to one whole release and reports every job that was running when the minion died.
func (m *Minion) recover(ctx context.Context) error {
	left, err := m.runner.Recover(ctx, func(fleet.EventResult) {})
	if err != nil {
		return fmt.Errorf("recover releases: %w", err)
	}
	results := map[fleet.JobID]runner.Interrupted{}
	for _, i := range left {
		results[i.Job] = i
	}
	for _, job := range m.inbox.Unfinished() {
		if results[job.ID].GoesOn {
			m.log.Info("job goes on", "job", job.ID)
			m.left[job.ID] = true
			delete(results, job.ID)
			continue
		}
		ret := fleet.Return{Job: job.ID, Minion: fleet.MinionID(m.cfg.ID), Part: finalPart, Last: true, Time: time.Now(), Outcome: fleet.Interrupted, Reason: "the minion died inside the job"}
		if i, ok := results[job.ID]; ok {
			ret.Outcome, ret.Reason = i.Outcome, i.Reason
			if ret.Value, err = json.Marshal(i.Result); err != nil {
				return fmt.Errorf("encode result of %s: %w", job.ID, err)
			}
		}
		m.log.Warn("job was interrupted", "job", job.ID, "outcome", ret.Outcome, "reason", ret.Reason)
		if err := m.finish(job.ID, ret); err != nil {
			return err
		}
		delete(results, job.ID)
	}
	for job := range results { // their returns were safe already
		if err := m.runner.Forget(job); err != nil {
			return fmt.Errorf("forget %s: %w", job, err)
		}
	}
	return nil
}

// finish makes a last part durable before the job counts as done.
func (m *Minion) finish(job fleet.JobID, ret fleet.Return) error {
	if _, err := m.spool.Add(ret); err != nil {
		return fmt.Errorf("spool return of %s: %w", job, err)
	}
	if err := m.inbox.Done(job); err != nil {
		return fmt.Errorf("mark %s done: %w", job, err)
	}
	if err := m.runner.Forget(job); err != nil {
		return fmt.Errorf("forget %s: %w", job, err)
	}
	return nil
}

func (m *Minion) acceptedMark() string { return filepath.Join(m.cfg.StateDir, "accepted") }
