package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Envelope is one minion's copy of a job.
type Envelope struct {
	Seq uint64    // from 1 for each minion, durable, never used twice
	Job fleet.Job // with Minion
	Due bool      // to be sent; not so when the minion has it, has gone, or is too late for it
}

// JobInfo is one job and those that it was published to.
type JobInfo struct {
	Job        fleet.Job          // without Minion; without Args when it belongs to a deployment, because they hold secrets
	Deployment fleet.DeploymentID // what it was made for; empty for a person's own job, like App and Group
	App        fleet.AppName
	Group      fleet.GroupName
	Minions    []fleet.MinionID // by id
}

// AddJobs writes jobs down before they are sent, and returns an envelope for each, in the same order. A job that its
// minion was given before is not added again: its envelope is the one that it got then. Every job has a deadline. It is
// fastest for jobs that differ in their minion only.
//
// A job may hold secrets. What is sent of it is dropped when nobody is to be sent it any more: when all have acknowledged
// it, or it was killed or has expired.
func (j *Journal) AddJobs(
	ctx context.Context, deployment fleet.DeploymentID, app fleet.AppName, group fleet.GroupName, jobs []fleet.Job,
) (list []Envelope, err error) {
	defer wrap(&err, "add jobs")
	j.numbering.Lock()
	defer j.numbering.Unlock()
	of := JobInfo{Deployment: deployment, App: app, Group: group}
	list, ok, err := j.addQuickly(ctx, of, jobs)
	if ok || err != nil {
		return list, err
	}
	numbers := map[fleet.MinionID]uint64{}
	err = j.write(ctx, func(ctx context.Context, t *tx) error {
		for rest := jobs; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].ID == rest[0].ID {
				n++
			}
			added, err := t.addJob(ctx, of, rest[:n], func(id fleet.MinionID) uint64 {
				numbers[id] = max(numbers[id], j.numbers[id]) + 1
				return numbers[id]
			})
			if err != nil {
				return fmt.Errorf("job %s: %w", rest[0].ID, err)
			}
			list, rest = append(list, added...), rest[n:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	maps.Copy(j.numbers, numbers)
	return list, nil
}

// addQuickly adds a new job for many by the log in front of the tables. It is not ok for others; nor for those of
// deployments, which hold secrets: no copy of them may stay behind.
func (j *Journal) addQuickly(ctx context.Context, of JobInfo, jobs []fleet.Job) (list []Envelope, ok bool, err error) {
	if len(jobs) == 0 || of.Deployment != "" || jobs[0].Deadline.IsZero() {
		return nil, false, nil
	}
	of.Job = jobs[0]
	of.Job.Minion = ""
	list, numbers := make([]Envelope, len(jobs)), make(map[fleet.MinionID]uint64, len(jobs))
	for i, job := range jobs {
		if _, twice := numbers[job.Minion]; twice || job.ID != of.Job.ID || !sameButMinion(job, of.Job) {
			return nil, false, nil
		}
		numbers[job.Minion] = j.numbers[job.Minion] + 1
		list[i] = Envelope{Seq: numbers[job.Minion], Job: job, Due: true}
	}
	if known, err := j.isKnown(ctx, of.Job.ID); known || err != nil {
		return nil, false, err
	}
	if _, err := j.accept(ctx, &entry{at: time.Now(), jobs: &issue{Of: of, copies: list}}); err != nil {
		return nil, false, err
	}
	maps.Copy(j.numbers, numbers)
	return slices.Clone(list), true, nil
}

func (j *Journal) isKnown(ctx context.Context, id fleet.JobID) (bool, error) {
	if j.front.isIssued(id) {
		return true, nil
	}
	_, err := one(ctx, j.tables(), column[int], `SELECT 1 FROM jobs WHERE id = ?`, id)
	unknown, err := absent(err)
	return !unknown, err
}

// issue puts a job that nobody has into the tables.
func (t *tx) issue(ctx context.Context, i *issue) error {
	if err := t.describeJob(ctx, i.Of, i.Of.Job); err != nil {
		return err
	}
	fresh := make([]*Envelope, len(i.copies))
	for n := range i.copies {
		fresh[n] = &i.copies[n]
	}
	return t.deliver(ctx, fresh)
}

// Job returns one job, or ErrNotFound.
func (j *Journal) Job(ctx context.Context, id fleet.JobID) (info JobInfo, err error) {
	defer wrap(&err, "find job %s", id)
	info, err = one(ctx, j, func(scan scanner) (of JobInfo, err error) {
		var text []byte
		if err := scan(&of.Deployment, &of.App, &of.Group, &text); err != nil {
			return of, err
		}
		return of, json.Unmarshal(text, &of.Job)
	}, `SELECT deployment, app, grp, job FROM jobs WHERE id = ?`, id)
	if err != nil {
		return JobInfo{}, err
	}
	info.Minions, err = all(ctx, j, column[fleet.MinionID], `SELECT minion FROM deliveries WHERE job = ? ORDER BY minion`, id)
	return info, err
}

// addJob adds one job for those who do not have it, numbered by next.
func (t *tx) addJob(ctx context.Context, of JobInfo, copies []fleet.Job, next func(fleet.MinionID) uint64) ([]Envelope, error) {
	had, err := t.given(ctx, copies)
	if err != nil {
		return nil, err
	}
	list := make([]Envelope, len(copies))
	var fresh []*Envelope
	for i, job := range copies {
		if e := had[job.Minion]; e != nil {
			list[i] = *e
			continue
		}
		if job.Deadline.IsZero() {
			return nil, fmt.Errorf("minion %s: it has no deadline", job.Minion)
		}
		list[i] = Envelope{Seq: next(job.Minion), Job: job, Due: true}
		had[job.Minion] = &list[i]
		fresh = append(fresh, &list[i])
	}
	if len(fresh) == 0 {
		return list, nil
	}
	if err := t.describeJob(ctx, of, copies[0]); err != nil {
		return nil, err
	}
	return list, t.deliver(ctx, fresh)
}

// given returns what minions were given before of one job.
func (t *tx) given(ctx context.Context, copies []fleet.Job) (map[fleet.MinionID]*Envelope, error) {
	first, last := copies[0].Minion, copies[0].Minion
	for _, job := range copies {
		first, last = min(first, job.Minion), max(last, job.Minion)
	}
	list, err := all(ctx, t, readOpen, openColumns+` WHERE d.job = ? AND d.minion BETWEEN ? AND ?`, copies[0].ID, first, last)
	had := make(map[fleet.MinionID]*Envelope, len(list))
	for i := range list {
		had[list[i].Job.Minion] = &list[i].Envelope
	}
	return had, err
}

// deliver stores copies of one job.
func (t *tx) deliver(ctx context.Context, fresh []*Envelope) error {
	shared, sharers, err := t.share(ctx, fresh)
	if err != nil {
		return err
	}
	numbers, deliveries := make([][]any, len(fresh)), make([][]any, len(fresh))
	for i, e := range fresh {
		copied := sharedCopy
		if !sharers || !sameButMinion(e.Job, shared) {
			if copied, err = ownCopy, t.store(ctx, e.Job); err != nil {
				return err
			}
		}
		numbers[i] = []any{e.Job.Minion, e.Seq}
		deliveries[i] = []any{e.Job.ID, e.Job.Minion, e.Seq, nanos(e.Job.Deadline), copied}
	}
	err = t.insert(ctx, `INSERT INTO numbers (minion, seq)`, numbers, ` ON CONFLICT (minion) DO UPDATE SET seq = excluded.seq`)
	if err != nil {
		return err
	}
	return t.insert(ctx, `INSERT INTO deliveries (job, minion, seq, deadline, copy)`, deliveries, "")
}

// share stores the body that most of the copies have in common. It is not ok when the job has another one already.
func (t *tx) share(ctx context.Context, fresh []*Envelope) (shared fleet.Job, ok bool, err error) {
	shared = fresh[0].Job
	shared.Minion = ""
	sharers := 0
	for _, e := range fresh {
		if sameButMinion(e.Job, shared) {
			sharers++
		}
	}
	body, err := encoded(shared)
	if err != nil {
		return shared, false, err
	}
	n, err := t.exec(ctx, `INSERT INTO bodies (job, minion, body, open) VALUES (?, '', ?, ?)
		ON CONFLICT (job, minion) DO UPDATE SET open = bodies.open + excluded.open WHERE bodies.body = excluded.body`,
		shared.ID, []byte(body), sharers)
	return shared, n > 0, err
}

func sameButMinion(a, b fleet.Job) bool {
	return a.Function == b.Function && a.By == b.By && a.Issued.Equal(b.Issued) && a.Deadline.Equal(b.Deadline) && a.Trace == b.Trace &&
		bytes.Equal(a.Args, b.Args)
}

// store keeps a minion's own body.
func (t *tx) store(ctx context.Context, job fleet.Job) error {
	body, err := encoded(job)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO bodies (job, minion, body, open) VALUES (?, ?, ?, 1)`, job.ID, job.Minion, []byte(body))
	return err
}

// What a delivery sends.
const (
	noCopy     = 0
	sharedCopy = 1
	ownCopy    = 2
)

// release drops what a delivery that has just been closed would have sent. Shared bodies are counted, see settle.
func (t *tx) release(ctx context.Context, job fleet.JobID, minion fleet.MinionID, copied int) error {
	switch copied {
	case sharedCopy:
		t.released[job]++
	case ownCopy:
		_, err := t.exec(ctx, `DELETE FROM bodies WHERE job = ? AND minion = ?`, job, minion)
		return err
	}
	return nil
}

// settle inserts what was appended to the log, and drops the shared bodies that nobody is to be sent any more. It is the last
// thing in a transaction.
func (t *tx) settle(ctx context.Context) error {
	if err := t.insert(ctx, `INSERT INTO log (seq, deployment, body)`, t.records, ""); err != nil {
		return err
	}
	for job, n := range t.released {
		if _, err := t.exec(ctx, `UPDATE bodies SET open = open - ? WHERE job = ? AND minion = ''`, n, job); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM bodies WHERE job = ? AND minion = '' AND open <= 0`, job); err != nil {
			return err
		}
	}
	return nil
}

// describeJob stores what people see of a job.
func (t *tx) describeJob(ctx context.Context, of JobInfo, job fleet.Job) error {
	job.Minion = "" // those who got it are the deliveries
	if of.Deployment != "" {
		job.Args = nil
	}
	text, err := encoded(job)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO jobs (id, deployment, app, grp, who, issued, job) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`, job.ID, of.Deployment, of.App, of.Group, job.By, nanos(job.Issued), text)
	return err
}
