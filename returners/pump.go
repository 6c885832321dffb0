package returners

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Log is the journal's log as a Pump reads it, and the cursors that the journal keeps for its readers.
type Log interface {
	After(ctx context.Context, seq uint64, limit int) ([]fleet.Record, error)
	End(ctx context.Context) (uint64, error)
	Changed() <-chan struct{}
	Cursor(ctx context.Context, name string) (uint64, error)
	SetCursor(ctx context.Context, name string, seq uint64) error
}

// Pump carries the log to one returner, at the returner's pace: while it is down, the records wait in the journal, and
// nobody waits for them. A Page gets what comes after the start; any other returner goes on where it was, its place being
// kept under Name.
type Pump struct {
	Name     string
	Log      Log
	Returner Returner
	Logger   *slog.Logger
}

const (
	batch    = 200 // records at once
	minPause = 500 * time.Millisecond
	maxPause = time.Minute
)

// Run delivers until ctx is done, then closes the returner if it can be closed. Its error is the journal's, which could
// not say where to start, or that of closing.
func (p *Pump) Run(ctx context.Context) (err error) {
	if c, ok := p.Returner.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	at, err := p.start(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start: %w", err)
	}
	for failures := 0; ; {
		changed := p.Log.Changed()
		next, err := p.step(ctx, at)
		var due <-chan time.Time
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures++
			changed, due = nil, time.After(p.failed(ctx, err, failures, at))
		case next != at:
			p.recovered(ctx, failures, next)
			at, failures = next, 0
			continue
		}
		select {
		case <-changed:
		case <-due:
		case <-ctx.Done():
			return nil
		}
	}
}

// start says after which record to begin.
func (p *Pump) start(ctx context.Context) (uint64, error) {
	if p.isPage() {
		return p.Log.End(ctx)
	}
	return p.Log.Cursor(ctx, p.Name)
}

// step delivers what comes next, if there is anything, and returns how far that got.
func (p *Pump) step(ctx context.Context, at uint64) (uint64, error) {
	records, err := p.Log.After(ctx, at, batch)
	if err != nil || len(records) == 0 {
		return at, err
	}
	if err := p.Returner.Deliver(ctx, records); err != nil {
		return at, err
	}
	next := records[len(records)-1].Seq
	if p.isPage() {
		return next, nil
	}
	return next, p.Log.SetCursor(ctx, p.Name, next)
}

func (p *Pump) isPage() bool {
	_, is := p.Returner.(Page)
	return is
}

// failed tells of a failure and returns how long to wait before another try.
func (p *Pump) failed(ctx context.Context, err error, failures int, at uint64) time.Duration {
	level, again := slog.LevelWarn, pause(failures)
	if errors.Is(err, ErrRefused) {
		level = slog.LevelError
	}
	p.Logger.Log(ctx, level, "records not delivered, they wait in the journal",
		"returner", p.Name, "after", at, "failures", failures, "again", again, "error", err)
	return again
}

func (p *Pump) recovered(ctx context.Context, failures int, at uint64) {
	if failures > 0 {
		p.Logger.InfoContext(ctx, "records are delivered again", "returner", p.Name, "up_to", at)
	}
}

// pause is how long to wait after so many failures in a row: doubling, and not the same for all returners.
func pause(failures int) time.Duration {
	full := maxPause
	if shift := failures - 1; shift < 7 {
		full = min(maxPause, minPause<<shift)
	}
	return full/2 + rand.N(full/2)
}
