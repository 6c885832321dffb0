package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/appendlog"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Told is what minions tell the master.
type Told struct {
	Minions []fleet.Minion // see SaveMinion
	Acks    []Ack
	Returns []fleet.Return
	Texts   [][]byte // the JSON of each of Returns, where it is at hand; it may name another minion
}

// Accept writes down what minions tell, in the order of Told's fields. What the parts of returns tell is in the log:
// MinionEvent for its Event, JobReturned for the last part. A part that was recorded before changes nothing, and neither
// does a second last part: that of a minion that died after it had spooled the first. A part of a job that its minion was
// never given is kept out, and may be acknowledged like the others: see Unknown.
func (j *Journal) Accept(ctx context.Context, told Told) (err error) {
	defer wrap(&err, "accept returns")
	_, err = j.accept(ctx, &entry{at: time.Now(), told: told})
	return err
}

// Record is Accept that waits until the tables have it, and counts what was kept out.
func (j *Journal) Record(ctx context.Context, told Told) (unknown int, err error) {
	defer wrap(&err, "record returns")
	e, err := j.accept(ctx, &entry{at: time.Now(), told: told})
	if err == nil {
		err = j.catchUp(context.WithoutCancel(ctx))
	}
	if err != nil {
		return 0, err
	}
	return e.unknown, nil
}

// Unknown counts the parts that were kept out since the last call.
func (j *Journal) Unknown() uint64 { return j.unknown.Swap(0) }

// accept commits an entry, by the log in front of the tables unless it is too large for that.
func (j *Journal) accept(ctx context.Context, e *entry) (*entry, error) {
	record, err := e.encode()
	switch {
	case err != nil:
		return nil, err
	case len(record) > appendlog.MaxRecord:
		return e, j.write(ctx, func(ctx context.Context, t *tx) error { return t.enter(ctx, e) })
	default:
		return e, j.front.accept(ctx, e, record)
	}
}

func (t *tx) record(ctx context.Context, told Told, now time.Time) (unknown int, err error) {
	for _, m := range told.Minions {
		if err := t.saveMinion(ctx, m); err != nil {
			return 0, fmt.Errorf("minion %s: %w", m.ID, err)
		}
	}
	for _, a := range told.Acks {
		if err := t.delivered(ctx, a, now); err != nil {
			return 0, fmt.Errorf("acknowledgement of job %d by minion %s: %w", a.Seq, a.Minion, err)
		}
	}
	for _, r := range told.Returns {
		known, err := t.recordReturn(ctx, r)
		if err != nil {
			return 0, fmt.Errorf("part %d of job %s of minion %s: %w", r.Part, r.Job, r.Minion, err)
		}
		if !known {
			unknown++
		}
	}
	return unknown, nil
}

// Returns gives the last parts of a job's returns, in the order in which they came.
func (j *Journal) Returns(ctx context.Context, job fleet.JobID) (list []fleet.Return, err error) {
	defer wrap(&err, "list returns of job %s", job)
	return all(ctx, j, readReturn, `SELECT l.body FROM returns AS r JOIN log AS l ON l.seq = r.seq
		WHERE r.job = ? AND r.last ORDER BY r.seq`, job)
}

// ReturnsAfter is Returns for what was recorded after seq; it gives the number to go on with.
func (j *Journal) ReturnsAfter(ctx context.Context, job fleet.JobID, seq uint64) (list []fleet.Return, next uint64, err error) {
	defer wrap(&err, "list returns of job %s", job)
	next = seq
	_, err = all(ctx, j, func(scan scanner) (none struct{}, err error) {
		var text []byte
		if err := scan(&next, &text); err != nil {
			return none, err
		}
		var record fleet.Record
		if err := json.Unmarshal(text, &record); err != nil {
			return none, err
		}
		list = append(list, *record.Return)
		return none, nil
	}, `SELECT r.seq, l.body FROM returns AS r JOIN log AS l ON l.seq = r.seq
		WHERE r.job = ? AND r.last AND r.seq > ? ORDER BY r.seq`, job, seq)
	return list, next, err
}

// Return gives the last part of a minion's return, or ErrNotFound when it is not in.
func (j *Journal) Return(ctx context.Context, job fleet.JobID, minion fleet.MinionID) (r fleet.Return, err error) {
	defer wrap(&err, "find return of job %s from minion %s", job, minion)
	return one(ctx, j, readReturn, `SELECT l.body FROM returns AS r JOIN log AS l ON l.seq = r.seq
		WHERE r.job = ? AND r.minion = ? AND r.last ORDER BY r.part LIMIT 1`, job, minion)
}

// Events gives the lifecycle events that a minion told of while it ran a job, in its order.
func (j *Journal) Events(ctx context.Context, job fleet.JobID, minion fleet.MinionID) (list []fleet.EventResult, err error) {
	defer wrap(&err, "list events of job %s on minion %s", job, minion)
	records, err := all(ctx, j, decoded[fleet.Record], `SELECT l.body FROM returns AS r JOIN log AS l ON l.seq = r.seq
		WHERE r.job = ? AND r.minion = ? ORDER BY r.part`, job, minion)
	for _, r := range records {
		switch {
		case r.Event != nil:
			list = append(list, *r.Event)
		case r.Return != nil && r.Return.Event != nil:
			list = append(list, *r.Return.Event)
		}
	}
	return list, err
}

func readReturn(scan scanner) (fleet.Return, error) {
	record, err := decoded[fleet.Record](scan)
	if err != nil {
		return fleet.Return{}, err
	}
	return *record.Return, nil
}

// recordReturn writes down one part, unless its job is not known.
func (t *tx) recordReturn(ctx context.Context, r fleet.Return) (known bool, err error) {
	base, seen, d, err := t.attribute(ctx, r)
	if unknown, err := absent(err); unknown || err != nil {
		return false, err
	}
	if seen {
		return true, nil
	}
	seq := uint64(0)
	if records := recordsOf(base, r); len(records) > 0 {
		if err := t.append(ctx, records...); err != nil {
			return true, err
		}
		seq = t.logged
	}
	_, err = t.exec(ctx, `INSERT INTO returns (job, minion, part, last, seq, outcome) VALUES (?, ?, ?, ?, ?, ?)`,
		r.Job, r.Minion, r.Part, r.Last, seq, r.Outcome)
	if err != nil || !r.Last || r.Part == masterPart {
		return true, err
	}
	return true, t.answered(ctx, r, d)
}

// answered notes that a minion which returns a job has had it. What the minion says takes the place of what the master had
// to say for it.
func (t *tx) answered(ctx context.Context, r fleet.Return, d delivery) error {
	if d.delivered > 0 {
		return nil
	}
	if d.delivered == never {
		if _, err := t.exec(ctx, `DELETE FROM returns WHERE job = ? AND minion = ? AND part = ?`, r.Job, r.Minion, masterPart); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, `UPDATE deliveries SET delivered = ? WHERE job = ? AND minion = ?`, nanos(time.Now()), r.Job, r.Minion)
	if err != nil || d.delivered == never {
		return err
	}
	return t.release(ctx, r.Job, r.Minion, d.copy)
}

// attribute says what the records of a return have in common, whether this part was recorded before, and how the job was
// delivered.
func (t *tx) attribute(ctx context.Context, r fleet.Return) (base fleet.Record, seen bool, d delivery, err error) {
	d, err = one(ctx, t, func(scan scanner) (d delivery, err error) { return d, scan(&d.delivered, &d.copy, &seen) },
		`SELECT d.delivered, d.copy, EXISTS (
			SELECT 1 FROM returns AS r WHERE r.job = d.job AND r.minion = d.minion AND (r.part = ? OR ? AND r.last AND r.part >= 0))
		FROM deliveries AS d WHERE d.job = ? AND d.minion = ?`, r.Part, r.Last, r.Job, r.Minion)
	if err != nil {
		return base, false, d, err
	}
	base, known := t.jobs[r.Job]
	if !known {
		base, err = one(ctx, t, func(scan scanner) (b fleet.Record, err error) {
			return b, scan(&b.Deployment, &b.App, &b.Group, &b.By)
		}, `SELECT deployment, app, grp, who FROM jobs WHERE id = ?`, r.Job)
		t.jobs[r.Job] = base
	}
	base.Job, base.Minion = r.Job, r.Minion
	return base, seen, d, err
}

// recordsOf says in the log what a part tells; the last record is the one that the part is read back from.
func recordsOf(base fleet.Record, r fleet.Return) (records []fleet.Record) {
	if r.Event != nil {
		event := base
		event.Kind, event.Event = fleet.MinionEvent, r.Event
		records = append(records, event)
	}
	if r.Last {
		last := base
		last.Kind, last.Return = fleet.JobReturned, &r
		records = append(records, last)
	}
	return records
}
