// Package journal is the master's durable record of keys, jobs, returns, revisions and deployments: the truth, of which
// everything else is a view. Its log tells in order what happened; returners, brine watch and the history read it.
//
// A Journal lives on database/sql. What SQL databases do not agree on is its Dialect; each database has a folder below
// that opens it, and package journaltest holds the suite that each must pass. What minions tell by the thousand is committed to
// a log of its own in front of the database, which nobody sees: see front.
package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// ErrNotFound says that the journal has no such thing.
var ErrNotFound = errors.New("not in the journal")

// Journal is the durable record. Its methods may be called concurrently. One that changes something returns after the
// commit: nil means that the change survives a kill or a power cut, an error that nothing was changed. A change that
// has begun is finished whatever becomes of ctx; ctx bounds the wait for its turn.
//
// One process at a time uses a journal.
type Journal struct {
	w, r    *sql.DB
	dialect Dialect
	front   *front        // nil while the journal is being opened
	unknown atomic.Uint64 // see Unknown

	numbering sync.Mutex                // held while jobs are added
	numbers   map[fleet.MinionID]uint64 // guarded by numbering; the last that each minion's jobs got

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed and replaced at a commit that appended to the log
}

// Dialect is what SQL databases do not agree on.
type Dialect struct {
	Numbered bool   // placeholders are $1, $2, ... instead of ?
	Blob     string // the type of a column of bytes
}

// New makes a Journal of an open database and brings its schema up to date. All writes go through w, which must be
// limited to one connection; r may have many and may be the same. The journal owns both from now on, also after an error.
// What is accepted and not yet in the database is in files whose paths begin with log: they belong to the journal.
func New(ctx context.Context, w, r *sql.DB, d Dialect, log string) (*Journal, error) {
	j := &Journal{w: w, r: r, dialect: d, changed: make(chan struct{})}
	if err := j.open(ctx, log); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), j.Close())
	}
	return j, nil
}

func (j *Journal) open(ctx context.Context, log string) error {
	if err := j.write(ctx, func(ctx context.Context, t *tx) error { return t.migrate(ctx) }); err != nil {
		return err
	}
	filled, err := one(ctx, j, column[uint64], `SELECT n FROM filled`)
	if err != nil {
		return err
	}
	front := newFront(log, filled, j.fillIn)
	if err := front.replay(); err != nil {
		return err
	}
	j.front = front
	if err := j.write(ctx, doubt); err != nil {
		return err
	}
	return j.readNumbers(ctx)
}

// doubt what may no longer be true after a restart: whoever was connected may have got what was sent to it.
func doubt(ctx context.Context, t *tx) error {
	_, err := t.exec(ctx, `UPDATE deliveries SET unsure = TRUE
		WHERE delivered = 0 AND minion IN (SELECT id FROM minions WHERE connected)`)
	return err
}

func (j *Journal) readNumbers(ctx context.Context) error {
	j.numbers = map[fleet.MinionID]uint64{}
	_, err := all(ctx, j, func(scan scanner) (none struct{}, err error) {
		var id fleet.MinionID
		var seq uint64
		err = scan(&id, &seq)
		j.numbers[id] = seq
		return none, err
	}, `SELECT minion, seq FROM numbers`)
	return err
}

// Close waits for what is running and closes the database. Nothing may be called after it.
func (j *Journal) Close() error {
	var err error
	if j.front != nil {
		err = j.front.close()
	}
	return errors.Join(err, j.r.Close(), j.w.Close())
}

// fillIn puts what was accepted into the tables.
func (j *Journal) fillIn(batch []*entry) error {
	unknown := 0
	err := j.commit(context.Background(), func(ctx context.Context, t *tx) error {
		for _, e := range batch {
			if err := t.enter(ctx, e); err != nil {
				return err
			}
			unknown += e.unknown
		}
		_, err := t.exec(ctx, `UPDATE filled SET n = ?`, batch[len(batch)-1].n)
		return err
	})
	if err == nil {
		j.unknown.Add(uint64(unknown))
	}
	return err
}

// enter puts one entry into the tables.
func (t *tx) enter(ctx context.Context, e *entry) (err error) {
	if e.jobs != nil {
		return t.issue(ctx, e.jobs)
	}
	e.unknown, err = t.record(ctx, e.told, e.at)
	return err
}

// rebind writes a query's placeholders as the database wants them. No query of this package has a ? for anything else.
func (d Dialect) rebind(query string) string {
	if !d.Numbered {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		head, tail, found := strings.Cut(query, "?")
		b.WriteString(head)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = tail
	}
}

// nanos is how an instant is stored.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// instant is the inverse of nanos, in UTC.
func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
