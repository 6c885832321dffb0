package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Envelope is one minion's copy of a job as it is sent.
type Envelope struct {
	Minion   fleet.MinionID
	Seq      uint64 // from 1 for each minion, durable, never used twice
	Body     []byte // nil: not to be sent any more, because the minion has it, has gone, or is too late for it
	Sig      []byte
	Deadline time.Time
}

// JobInfo is one job and those that it was published to.
type JobInfo struct {
	Job        fleet.Job          // without Minion; without Args when it belongs to a deployment, because they hold secrets
	Deployment fleet.DeploymentID // what it was made for; empty for a person's own job, like App and Group
	App        fleet.AppName
	Group      fleet.GroupName
	Minions    []fleet.MinionID // by id
}

// Signer encodes a job and signs it. It is called inside a transaction and must not call the journal.
type Signer func(fleet.Job) (body, sig []byte, err error)

// AddJobs writes jobs down before they are sent, and returns an envelope for each, in the same order. A job that its
// minion was given before is not added again: its envelope is the one that it got then. Every job has a deadline.
//
// A body may hold secrets. It is dropped as soon as it is not to be sent any more: when it is acknowledged, killed or
// expired.
func (j *Journal) AddJobs(
	ctx context.Context, deployment fleet.DeploymentID, app fleet.AppName, group fleet.GroupName, jobs []fleet.Job, sign Signer,
) (list []Envelope, err error) {
	defer wrap(&err, "add jobs")
	of := JobInfo{Deployment: deployment, App: app, Group: group}
	err = j.write(ctx, func(ctx context.Context, t *tx) error {
		for _, job := range jobs {
			e, err := t.addJob(ctx, of, job, sign)
			if err != nil {
				return fmt.Errorf("job %s of minion %s: %w", job.ID, job.Minion, err)
			}
			list = append(list, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Jobs returns the newest jobs, newest first, at most limit.
func (j *Journal) Jobs(ctx context.Context, limit int) (list []JobInfo, err error) {
	defer wrap(&err, "list jobs")
	return j.jobs(ctx, `SELECT * FROM jobs ORDER BY issued DESC, id DESC LIMIT ?`, limit)
}

// Job returns one job, or ErrNotFound.
func (j *Journal) Job(ctx context.Context, id fleet.JobID) (info JobInfo, err error) {
	defer wrap(&err, "find job %s", id)
	list, err := j.jobs(ctx, `SELECT * FROM jobs WHERE id = ?`, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return JobInfo{}, err
	}
	return list[0], nil
}

// jobs reads the selected jobs with their minions: a row for each minion, those of one job together.
func (j *Journal) jobs(ctx context.Context, selection string, arg any) (list []JobInfo, err error) {
	_, err = all(ctx, j, func(scan scanner) (none struct{}, err error) {
		var of JobInfo
		var minion fleet.MinionID
		var text []byte
		if err := scan(&of.Deployment, &of.App, &of.Group, &text, &minion); err != nil {
			return none, err
		}
		if err := json.Unmarshal(text, &of.Job); err != nil {
			return none, err
		}
		if n := len(list); n == 0 || list[n-1].Job.ID != of.Job.ID {
			list = append(list, of)
		}
		info := &list[len(list)-1]
		info.Minions = append(info.Minions, minion)
		return none, nil
	}, `SELECT j.deployment, j.app, j.grp, j.job, d.minion FROM (`+selection+`) AS j
		JOIN deliveries AS d ON d.job = j.id ORDER BY j.issued DESC, j.id DESC, d.minion`, arg)
	return list, err
}

const envelopeColumns = `SELECT minion, seq, body, sig, deadline FROM deliveries`

func readEnvelope(scan scanner) (e Envelope, err error) {
	var deadline int64
	err = scan(&e.Minion, &e.Seq, &e.Body, &e.Sig, &deadline)
	e.Deadline = instant(deadline)
	return e, err
}

func (t *tx) addJob(ctx context.Context, of JobInfo, job fleet.Job, sign Signer) (Envelope, error) {
	e, err := one(ctx, t, readEnvelope, envelopeColumns+` WHERE job = ? AND minion = ?`, job.ID, job.Minion)
	if isNew, err := absent(err); err != nil || !isNew {
		return e, err
	}
	if job.Deadline.IsZero() {
		return e, errors.New("it has no deadline")
	}
	e = Envelope{Minion: job.Minion, Deadline: job.Deadline}
	if e.Body, e.Sig, err = sign(job); err != nil {
		return e, fmt.Errorf("sign: %w", err)
	}
	if err := t.describeJob(ctx, of, job); err != nil {
		return e, err
	}
	e.Seq, err = one(ctx, t, column[uint64], `INSERT INTO numbers (minion, seq) VALUES (?, 1)
		ON CONFLICT (minion) DO UPDATE SET seq = numbers.seq + 1 RETURNING seq`, job.Minion)
	if err != nil {
		return e, err
	}
	_, err = t.exec(ctx, `INSERT INTO deliveries (job, minion, seq, deadline, body, sig) VALUES (?, ?, ?, ?, ?, ?)`,
		job.ID, job.Minion, e.Seq, nanos(e.Deadline), e.Body, e.Sig)
	return e, err
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
