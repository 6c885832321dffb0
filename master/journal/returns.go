package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	if err := t.delivered(ctx, told.Acks, now); err != nil {
		return 0, err
	}
	for part := range slices.Chunk(told.Returns, rowsAtOnce) {
		n, err := t.recordReturns(ctx, part)
		if err != nil {
			return 0, fmt.Errorf("part %d of job %s of minion %s and others: %w", part[0].Part, part[0].Job, part[0].Minion, err)
		}
		unknown += n
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

// place is where a return belongs.
type place struct {
	job    fleet.JobID
	minion fleet.MinionID
}

// standing is how a place stands.
type standing struct {
	delivery
	parts map[int]bool // recorded
	ended bool         // with a last part of the minion's
}

// recordReturns writes down parts, as many as fit in one statement, and counts those whose job is not known.
func (t *tx) recordReturns(ctx context.Context, list []fleet.Return) (unknown int, err error) {
	known, err := t.standings(ctx, list)
	if err != nil {
		return 0, err
	}
	var rows [][]any
	var ended []any // their places
	for _, r := range list {
		s := known[place{r.Job, r.Minion}]
		if s == nil {
			unknown++
			continue
		}
		if s.parts[r.Part] || r.Last && s.ended {
			continue
		}
		s.parts[r.Part], s.ended = true, s.ended || r.Last
		seq, err := t.logReturn(ctx, r)
		if err != nil {
			return 0, err
		}
		rows = append(rows, []any{r.Job, r.Minion, r.Part, r.Last, seq, r.Outcome})
		if r.Last && s.delivered <= 0 {
			ended = append(ended, r.Job, r.Minion)
			if err := t.answered(ctx, r, s.delivery); err != nil {
				return 0, err
			}
		}
	}
	if err := t.insert(ctx, `INSERT INTO returns (job, minion, part, last, seq, outcome)`, rows, ""); err != nil || len(ended) == 0 {
		return unknown, err
	}
	_, err = t.exec(ctx, pairs("TEXT", len(ended)/2)+`UPDATE deliveries SET delivered = ? FROM pairs WHERE job = a AND minion = b`,
		append(ended, nanos(time.Now()))...)
	return unknown, err
}

// recordReturn writes down what the master says for a minion that never got a job.
func (t *tx) recordReturn(ctx context.Context, r fleet.Return) error {
	seq, err := t.logReturn(ctx, r)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO returns (job, minion, part, last, seq, outcome) VALUES (?, ?, ?, ?, ?, ?)`,
		r.Job, r.Minion, r.Part, r.Last, seq, r.Outcome)
	return err
}

// logReturn says in the log what a part tells, and gives the number of the record that it is read back from; 0: none.
func (t *tx) logReturn(ctx context.Context, r fleet.Return) (seq uint64, err error) {
	base, err := t.baseOf(ctx, r)
	if err != nil {
		return 0, err
	}
	records := recordsOf(base, r)
	if len(records) == 0 {
		return 0, nil
	}
	err = t.append(ctx, records...)
	return t.logged, err
}

// answered notes that a minion which returns a job has had it. What the minion says takes the place of what the master had
// to say for it.
func (t *tx) answered(ctx context.Context, r fleet.Return, d delivery) error {
	if d.delivered != never {
		return t.release(ctx, r.Job, r.Minion, d.copy)
	}
	_, err := t.exec(ctx, `DELETE FROM returns WHERE job = ? AND minion = ? AND part = ?`, r.Job, r.Minion, masterPart)
	return err
}

// standings says how the places of parts stand; those of jobs that their minions were never given are not among them.
func (t *tx) standings(ctx context.Context, list []fleet.Return) (map[place]*standing, error) {
	known := make(map[place]*standing, len(list))
	args := make([]any, 0, 2*len(list))
	for _, r := range list {
		if at := (place{r.Job, r.Minion}); known[at] == nil {
			known[at] = &standing{parts: map[int]bool{}}
			args = append(args, r.Job, r.Minion)
		}
	}
	given := make(map[place]*standing, len(known))
	with := pairs("TEXT", len(known))
	_, err := all(ctx, t, func(scan scanner) (none struct{}, err error) {
		var at place
		var d delivery
		err = scan(&at.job, &at.minion, &d.delivered, &d.copy)
		if given[at] = known[at]; given[at] != nil {
			given[at].delivery = d
		}
		return none, err
	}, with+`SELECT d.job, d.minion, d.delivered, d.copy FROM pairs CROSS JOIN deliveries AS d WHERE d.job = a AND d.minion = b`, args...)
	if err != nil {
		return nil, err
	}
	_, err = all(ctx, t, func(scan scanner) (none struct{}, err error) {
		var at place
		var part int
		var last bool
		err = scan(&at.job, &at.minion, &part, &last)
		if s := given[at]; s != nil {
			s.parts[part], s.ended = true, s.ended || last && part != masterPart
		}
		return none, err
	}, with+`SELECT r.job, r.minion, r.part, r.last FROM pairs CROSS JOIN returns AS r WHERE r.job = a AND r.minion = b`, args...)
	return given, err
}

// baseOf says what the records of a return have in common.
func (t *tx) baseOf(ctx context.Context, r fleet.Return) (base fleet.Record, err error) {
	base, known := t.jobs[r.Job]
	if !known {
		base, err = one(ctx, t, func(scan scanner) (b fleet.Record, err error) {
			return b, scan(&b.Deployment, &b.App, &b.Group, &b.By)
		}, `SELECT deployment, app, grp, who FROM jobs WHERE id = ?`, r.Job)
		t.jobs[r.Job] = base
	}
	base.Job, base.Minion = r.Job, r.Minion
	return base, err
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
