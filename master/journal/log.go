package journal

import (
	"context"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Append adds records to the end of the log. It gives them their Seq, and the present as Time where that is zero.
func (j *Journal) Append(ctx context.Context, records ...fleet.Record) (err error) {
	defer wrap(&err, "append to the log")
	return j.write(ctx, func(ctx context.Context, t *tx) error { return t.append(ctx, records...) })
}

// After returns at most limit records that come after seq, in order.
func (j *Journal) After(ctx context.Context, seq uint64, limit int) (list []fleet.Record, err error) {
	defer wrap(&err, "read the log")
	return all(ctx, j, decoded[fleet.Record], `SELECT body FROM log WHERE seq > ? ORDER BY seq LIMIT ?`, seq, limit)
}

// AfterOf is After for the records of one deployment.
func (j *Journal) AfterOf(ctx context.Context, id fleet.DeploymentID, seq uint64, limit int) (list []fleet.Record, err error) {
	defer wrap(&err, "read the log of deployment %s", id)
	return all(ctx, j, decoded[fleet.Record],
		`SELECT body FROM log WHERE deployment = ? AND deployment <> '' AND seq > ? ORDER BY seq LIMIT ?`, id, seq, limit)
}

// End returns the Seq of the log's last record, 0 when there is none.
func (j *Journal) End(ctx context.Context) (seq uint64, err error) {
	defer wrap(&err, "read the end of the log")
	return end(ctx, j)
}

// Changed returns a channel that is closed at the next commit that appends to the log. To miss nothing, take the channel
// first, then read, then wait.
func (j *Journal) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

// Cursor returns how far the reader called name has got, 0 for a new one.
func (j *Journal) Cursor(ctx context.Context, name string) (seq uint64, err error) {
	defer wrap(&err, "read cursor %s", name)
	seq, err = one(ctx, j, column[uint64], `SELECT seq FROM cursors WHERE name = ?`, name)
	_, err = absent(err)
	return seq, err
}

// SetCursor writes down how far the reader called name has got.
func (j *Journal) SetCursor(ctx context.Context, name string, seq uint64) (err error) {
	defer wrap(&err, "set cursor %s", name)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO cursors (name, seq) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET seq = excluded.seq`, name, seq)
		return err
	})
}

func (j *Journal) notify() {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.changed)
	j.changed = make(chan struct{})
}

func end(ctx context.Context, q querier) (uint64, error) {
	return one(ctx, q, column[uint64], `SELECT COALESCE(MAX(seq), 0) FROM log`)
}

// append numbers the records and adds them, see settle. The one write connection makes the numbers follow the commits.
func (t *tx) append(ctx context.Context, records ...fleet.Record) (err error) {
	if len(records) == 0 {
		return nil
	}
	if t.logged == 0 {
		if t.logged, err = end(ctx, t); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	for _, r := range records {
		r.Seq = t.logged + 1
		if r.Time.IsZero() {
			r.Time = now
		}
		body, err := encoded(r)
		if err != nil {
			return err
		}
		t.records = append(t.records, []any{r.Seq, r.Deployment, body})
		t.logged = r.Seq
	}
	t.appends = true
	return nil
}
