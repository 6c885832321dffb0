package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// A delivery is one minion's copy of a job. It ends with one outcome: what the minion returns, or, when the job never got
// there, what the master says for it.
//
//	queued --sent--> sent --Ack--> delivered --return--> returned
//	   \              \--Disconnected--> unsure: sent again at the next Arrived, whatever the time
//	    \--Expire--> expired
//	     \--Kill---> killed

// masterPart is the part number of an outcome that the master gives because the minion never got the job.
const masterPart = -1

// unsureFor is how long after its deadline a job that may or may not have arrived is kept for the minion's return.
const unsureFor = 24 * time.Hour

// never is the delivered of what will not be delivered.
const never = -1

// Due is what a minion is to be told when it connects.
type Due struct {
	Jobs []Envelope // to be sent, in order
	Kill []Order    // jobs that it has, or may have, and is to stop
}

// Order asks a minion to stop a job.
type Order struct {
	Minion fleet.MinionID
	Job    fleet.JobID
	By     string
}

// Ack tells that a minion has the job of a number safe. It is not sent again. An unknown number changes nothing.
type Ack struct {
	Minion fleet.MinionID
	Seq    uint64
}

// delivered notes Acks, many with each statement.
func (t *tx) delivered(ctx context.Context, acks []Ack, now time.Time) error {
	for part := range slices.Chunk(acks, rowsAtOnce) {
		var args []any
		for _, a := range part {
			args = append(args, a.Minion, a.Seq)
		}
		list, err := all(ctx, t, func(scan scanner) (d delivery, err error) { return d, scan(&d.Job.ID, &d.Job.Minion, &d.copy) },
			pairs("BIGINT", len(part))+`UPDATE deliveries SET delivered = ? FROM pairs
				WHERE delivered = 0 AND minion = a AND seq = b RETURNING job, minion, copy`, append(args, nanos(now))...)
		if err != nil {
			return fmt.Errorf("acknowledgement of job %d by minion %s and others: %w", part[0].Seq, part[0].Minion, err)
		}
		for _, d := range list {
			if err := t.release(ctx, d.Job.ID, d.Job.Minion, d.copy); err != nil {
				return err
			}
		}
	}
	return nil
}

// withdraw lets nothing be sent to a minion any more.
func (t *tx) withdraw(ctx context.Context, id fleet.MinionID) error {
	list, err := all(ctx, t, readOpen, openColumns+` WHERE d.minion = ? AND d.delivered = 0`, id)
	for _, d := range list {
		if err := t.release(ctx, d.Job.ID, id, d.copy); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE deliveries SET copy = ? WHERE minion = ? AND delivered = 0`, noCopy, id)
	return err
}

// Refuse records that a minion would not take what it was sent under a number, and why. An unknown number changes nothing.
func (j *Journal) Refuse(ctx context.Context, id fleet.MinionID, seq uint64, reason string) (err error) {
	defer wrap(&err, "record that minion %s refused job %d", id, seq)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		list, err := all(ctx, t, readOpen, openColumns+` WHERE d.minion = ? AND d.seq = ? AND d.delivered = 0`, id, seq)
		for _, d := range list {
			if err := t.give(ctx, d, fleet.Refused, reason); err != nil {
				return err
			}
		}
		return err
	})
}

// Disconnected notes that a minion's connection has ended: what it was sent and has not acknowledged may have arrived. Call
// it before anything is published to the minion as to one that is not connected.
func (j *Journal) Disconnected(ctx context.Context, id fleet.MinionID) (err error) {
	defer wrap(&err, "note that minion %s is gone", id)
	if err := j.front.catchUpOn(ctx, id); err != nil {
		return err
	}
	const sent = ` minion = ? AND delivered = 0 AND NOT unsure`
	n, err := one(ctx, j.tables(), column[int], `SELECT COUNT(*) FROM deliveries WHERE`+sent, id)
	if err != nil || n == 0 {
		return err
	}
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `UPDATE deliveries SET unsure = TRUE WHERE`+sent, id)
		return err
	})
}

// Arrived returns what a minion is to be told now that it is connected: what it has not acknowledged and is still due, or
// may have got without the master's knowing. What is too late for it ends as expired.
func (j *Journal) Arrived(ctx context.Context, id fleet.MinionID, now time.Time) (due Due, err error) {
	defer wrap(&err, "list jobs of minion %s", id)
	if err := j.front.catchUpOn(ctx, id); err != nil {
		return due, err
	}
	open, err := all(ctx, j.tables(), readOpen, openColumns+` WHERE d.minion = ? AND d.delivered = 0 ORDER BY d.seq`, id)
	if err != nil {
		return due, err
	}
	late := slices.ContainsFunc(open, func(d delivery) bool { return d.late(now) })
	if late {
		if _, err := j.expire(ctx, now, func(m fleet.MinionID) bool { return m == id }); err != nil {
			return due, err
		}
	}
	for _, d := range open {
		if !d.late(now) && d.Due && d.killer == "" {
			due.Jobs = append(due.Jobs, d.Envelope)
		}
	}
	due.Kill, err = all(ctx, j.tables(), func(scan scanner) (o Order, err error) {
		o.Minion = id
		return o, scan(&o.Job, &o.By)
	}, `SELECT d.job, d.killer FROM deliveries AS d WHERE d.minion = ? AND d.killer <> '' AND `+running+` ORDER BY d.seq`, id)
	return due, err
}

// running is the condition for a delivery d without an outcome.
const running = `d.delivered <> -1 AND NOT EXISTS (SELECT 1 FROM returns AS r WHERE r.job = d.job AND r.minion = d.minion AND r.last)`

// Expire ends the deliveries whose deadline has passed before the minion had them, and returns how many. Those that may be
// on their way to a connected minion are left to it: it refuses what is too late. So are, for a day, those that may have
// arrived before a connection ended.
func (j *Journal) Expire(ctx context.Context, now time.Time, connected func(fleet.MinionID) bool) (n int, err error) {
	defer wrap(&err, "expire jobs")
	return j.expire(ctx, now, func(id fleet.MinionID) bool { return !connected(id) })
}

func (j *Journal) expire(ctx context.Context, now time.Time, gone func(fleet.MinionID) bool) (n int, err error) {
	const due = ` WHERE d.delivered = 0 AND d.deadline <= ?`
	over := func(d delivery) bool { return d.lost(now) || d.late(now) && gone(d.Job.Minion) }
	candidates, err := all(ctx, j, readDeadline, `SELECT d.minion, d.deadline, d.unsure FROM deliveries AS d`+due, nanos(now))
	if err != nil || !slices.ContainsFunc(candidates, over) {
		return 0, err
	}
	err = j.write(ctx, func(ctx context.Context, t *tx) error {
		n = 0
		list, err := all(ctx, t, readOpen, openColumns+due+` ORDER BY d.minion, d.seq`, nanos(now))
		if err != nil {
			return err
		}
		for _, d := range list {
			reason := "its deadline passed before the minion had it: it never ran"
			if !over(d) {
				continue
			}
			if d.unsure {
				reason = "it was sent, but the minion has told nothing of it since"
			}
			if err := t.give(ctx, d, fleet.Expired, reason); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// Killing is what asking to kill a job has done.
type Killing struct {
	Withdrawn []fleet.MinionID // it never got there, and never will: its outcome is recorded
	Tell      []Order          // those that have it, or may
	Ended     []fleet.MinionID // there was an outcome already
}

// Kill ends a job where it has not been delivered, and notes that it is to be stopped where it has: Arrived tells so until
// the minion returns. Nothing may be sent to a minion while Kill decides that it is not connected.
func (j *Journal) Kill(ctx context.Context, id fleet.JobID, by string, connected func(fleet.MinionID) bool) (k Killing, err error) {
	defer wrap(&err, "kill job %s", id)
	err = j.write(ctx, func(ctx context.Context, t *tx) error {
		k = Killing{}
		list, err := all(ctx, t, readOpen, openColumns+` WHERE d.job = ? AND `+running+` ORDER BY d.minion`, id)
		if err != nil {
			return err
		}
		open := map[fleet.MinionID]bool{}
		for _, d := range list {
			open[d.Job.Minion] = true
			if d.delivered == 0 && !d.unsure && !connected(d.Job.Minion) {
				k.Withdrawn = append(k.Withdrawn, d.Job.Minion)
				if err := t.give(ctx, d, fleet.Killed, "killed by "+by+" before the minion had it"); err != nil {
					return err
				}
				continue
			}
			k.Tell = append(k.Tell, Order{d.Job.Minion, id, by})
			if _, err := t.exec(ctx, `UPDATE deliveries SET killer = ? WHERE job = ? AND minion = ?`, by, id, d.Job.Minion); err != nil {
				return err
			}
		}
		k.Ended, err = all(ctx, t, column[fleet.MinionID], `SELECT minion FROM deliveries WHERE job = ? ORDER BY minion`, id)
		k.Ended = slices.DeleteFunc(k.Ended, func(m fleet.MinionID) bool { return open[m] })
		return err
	})
	return k, err
}

// delivery is a row, mostly of one that has no outcome yet.
type delivery struct {
	Envelope
	delivered int64
	unsure    bool
	killer    string
	copy      int // sharedCopy, ...
}

// late reports whether it certainly never got to the minion and now will not any more.
func (d delivery) late(now time.Time) bool { return !d.unsure && !d.Job.Deadline.After(now) }

// lost reports whether its minion has had time enough to tell what became of it.
func (d delivery) lost(now time.Time) bool { return !d.Job.Deadline.Add(unsureFor).After(now) }

const openColumns = `SELECT d.job, d.minion, d.seq, d.deadline, d.delivered, d.unsure, d.killer, d.copy, b.body FROM deliveries AS d
	LEFT JOIN bodies AS b ON b.job = d.job AND d.delivered = 0 AND b.minion = CASE d.copy WHEN 1 THEN '' WHEN 2 THEN d.minion END`

func readOpen(scan scanner) (d delivery, err error) {
	var job fleet.Job
	var deadline int64
	var body []byte
	if err := scan(&job.ID, &job.Minion, &d.Seq, &deadline, &d.delivered, &d.unsure, &d.killer, &d.copy, &body); err != nil {
		return d, err
	}
	job.Deadline = instant(deadline)
	d.Job, d.Due = job, body != nil
	if d.Due {
		err = json.Unmarshal(body, &d.Job)
		d.Job.Minion = job.Minion
	}
	return d, err
}

func readDeadline(scan scanner) (d delivery, err error) {
	var deadline int64
	err = scan(&d.Job.Minion, &deadline, &d.unsure)
	d.Job.Deadline = instant(deadline)
	return d, err
}

// give records the master's own outcome of a delivery.
func (t *tx) give(ctx context.Context, d delivery, outcome fleet.Outcome, reason string) error {
	ret := fleet.Return{Job: d.Job.ID, Minion: d.Job.Minion, Part: masterPart, Last: true, Time: time.Now().UTC(), Outcome: outcome, Reason: reason}
	if err := t.recordReturn(ctx, ret); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE deliveries SET delivered = ? WHERE job = ? AND minion = ?`, never, d.Job.ID, d.Job.Minion); err != nil {
		return err
	}
	return t.release(ctx, d.Job.ID, d.Job.Minion, d.copy)
}
