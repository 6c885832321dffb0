package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/brine-deploy/brine/minion/fetch"
	"github.com/brine-deploy/brine/minion/process"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	defaultTimeout = time.Hour // of a job that sets none
	defaultKeep    = 5
	defaultGrace   = 5 * time.Second
	keptLogs       = 50  // jobs whose output is kept
	keptJobs       = 200 // jobs that are told until they are forgotten
)

// Config is what a Runner needs to know.
type Config struct {
	StateDir   string         // made when missing; one Runner at a time may have it
	Minion     fleet.MinionID // for the scripts
	MasterHost string         // put into an order's URL that has no host
	HTTP       *http.Client   // http.DefaultClient when nil
	Log        *slog.Logger   // discarded when nil
	Version    string
	Grace      time.Duration      // from TERM to KILL of a script that is over its time; 5 s when zero
	Supervisor process.Supervisor // the zero value runs scripts in this process, with which their result dies
	Retry      time.Duration      // before the second try of a download; 250 ms when zero
	Archives   int                // that are kept of those fetched; 5 when zero
	CacheBytes int64              // that they may have together; 2 GiB when zero
}

// ErrLeft is the cause of a context that ends because the minion stops, to be started again. Scripts go on under their
// supervisors, no other is started, and Release and Resume return it: the job has not ended, and Resume goes on with it.
var ErrLeft = process.ErrLeave

// Runner runs the deployments of this host. Its methods may be called concurrently: jobs of one root wait for each
// other, those of different roots do not.
type Runner struct {
	cfg     Config
	state   *os.Root
	fetch   *fetch.Fetcher
	reached func(step string) // test seam: called at every border between two steps
}

// New makes a Runner. Call Recover before the first Release.
func New(cfg Config) (*Runner, error) {
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Grace = cmp.Or(cfg.Grace, defaultGrace)
	var err error
	if cfg.StateDir, err = filepath.Abs(cfg.StateDir); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	for _, dir := range []string{"jobs", "logs"} {
		if err := os.MkdirAll(filepath.Join(cfg.StateDir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("make state directory: %w", err)
		}
	}
	state, err := os.OpenRoot(cfg.StateDir)
	if err != nil {
		return nil, fmt.Errorf("open state directory: %w", err)
	}
	fetcher, err := fetch.New(fetch.Config{
		Dir: filepath.Join(cfg.StateDir, "archives"), Archives: cfg.Archives, Bytes: cfg.CacheBytes,
		MasterHost: cfg.MasterHost, HTTP: cfg.HTTP, Log: cfg.Log, Version: cfg.Version, Pause: cfg.Retry,
	})
	if err != nil {
		return nil, err
	}
	if err := state.RemoveAll(testsDir); err != nil {
		return nil, fmt.Errorf("remove what tests left: %w", err)
	}
	return &Runner{cfg: cfg, state: state, fetch: fetcher, reached: func(string) {}}, nil
}

// Release makes the ordered revision live. It returns when that is done, or when the host is back at the release before;
// when ctx ends in between, it goes back too. A nil error means success; the error's text is one line. The result is
// right in both cases. An order with Test touches nothing and says what it would do. But for ErrLeft: then the job is for Resume.
//
// report gets every event when it starts and when it ends, from the calling goroutine. A job runs once: an id that ran
// before is refused until it is forgotten. TRACEPARENT reaches the scripts when it is in the order's Env.
func (r *Runner) Release(ctx context.Context, job fleet.JobID, order fleet.ReleaseOrder, report func(fleet.EventResult)) (fleet.ReleaseResult, error) {
	if err := checkOrder(job, order); err != nil {
		return untouched(order), err
	}
	how, err := newLayout(order)
	if err != nil {
		return untouched(order), err
	}
	limit := order.Timeout.Or(defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the job's time of %s is over", limit))
	defer cancel()
	if order.Test {
		res, err := r.preview(ctx, job, order)
		return res, plain(oneLine(err))
	}
	s, err := openSite(ctx, order)
	if err != nil {
		return untouched(order), plain(oneLine(err))
	}
	defer s.close()
	if err := errors.Join(r.recoverRoot(ctx, s), r.unseen(job)); err != nil {
		return untouched(order), plain(oneLine(err))
	}
	d := &deploy{r: r, site: s, layout: how, order: order, report: report, j: newJournal(job, order)}
	err = oneLine(d.run(ctx))
	if d.j.Left {
		return fleet.ReleaseResult{Events: d.j.Events}, ErrLeft
	}
	r.tidy()
	return *d.j.Result, plain(err)
}

// plain makes an error of a job that has ended unlike ErrLeft, whatever made it end.
func plain(err error) error {
	if errors.Is(err, ErrLeft) {
		return errors.New(err.Error())
	}
	return err
}

// Forget drops what is kept of a job that has ended. Call it when the job's return is safe; until then Recover tells of
// the job. A job that is unknown is no error.
func (r *Runner) Forget(job fleet.JobID) error {
	if err := r.state.Remove(journalName(job)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget job %s: %w", job, err)
	}
	return nil
}
