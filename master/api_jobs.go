package master

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	defaultRunTimeout = time.Minute
	// linger is how long after a job's deadline its stream waits for what the deadline brings about: commands that are
	// ended, jobs that expire.
	linger = 3 * time.Second
)

// postJob publishes one function to all minions of a target.
func (m *Master) postJob(ctx context.Context, r *http.Request) (any, error) {
	req, err := decode[fleet.RunRequest](r)
	if err != nil {
		return nil, err
	}
	minions, err := m.roster.match(req.Target)
	if err != nil {
		return nil, err
	}
	if len(minions) == 0 {
		return nil, &fleet.Problem{Message: fmt.Sprintf("target %q matches no minion", req.Target), Hint: "brine target '*' lists the accepted minions", Exit: fleet.ExitFailed}
	}
	if req.Function == releaseFunction || req.Function == testFunction {
		return nil, &fleet.Problem{Message: req.Function + " is what brine deploy publishes; it is not run by itself", Exit: fleet.ExitUsage}
	}
	now := time.Now()
	ticket := fleet.RunTicket{Job: fleet.JobID(newDeploymentID(now)), Deadline: now.Add(req.Timeout.Or(defaultRunTimeout))}
	jobs := make([]fleet.Job, len(minions))
	for i, minion := range minions {
		jobs[i] = fleet.Job{ID: ticket.Job, Minion: minion.ID, Function: req.Function, Args: req.Args, By: caller(ctx), Issued: now, Deadline: ticket.Deadline}
		ticket.Minions = append(ticket.Minions, minion.ID)
		if !minion.Connected {
			ticket.Away = append(ticket.Away, fleet.AwayPeer{Minion: minion.ID, Since: minion.Since})
		}
	}
	return ticket, m.dispatcher.publish(ctx, nil, jobs)
}

// streamReturns gives the last parts of a job's returns; it ends when all minions have returned, or soon after the deadline
// when there is no more to come of those that are connected.
func (m *Master) streamReturns(w http.ResponseWriter, r *http.Request) {
	var job journal.JobInfo
	var after uint64
	sent := map[fleet.MinionID]bool{}
	stream(w, r, m.journal.Changed, func(ctx context.Context) (fresh []fleet.Return, last bool, err error) {
		if job.Job.ID == "" {
			if job, err = m.job(ctx, r); err != nil {
				return nil, false, err
			}
		}
		over := time.Now().After(job.Job.Deadline.Add(linger))
		if fresh, after, err = m.journal.ReturnsAfter(ctx, job.Job.ID, after); err != nil {
			return nil, false, err
		}
		fresh = slices.DeleteFunc(fresh, func(ret fleet.Return) bool { return sent[ret.Minion] })
		for _, ret := range fresh {
			sent[ret.Minion] = true
		}
		return fresh, len(sent) == len(job.Minions) || over, nil
	})
}

func (m *Master) job(ctx context.Context, r *http.Request) (journal.JobInfo, error) {
	id := fleet.JobID(r.PathValue("id"))
	job, err := m.journal.Job(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return job, &fleet.Problem{Message: fmt.Sprintf("unknown job %q", id), Hint: "brine jobs list shows the last ones", Exit: fleet.ExitUsage}
	}
	return job, err
}

func (m *Master) getJobs(ctx context.Context, r *http.Request) (any, error) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 {
		limit = 20
	}
	tallies, err := m.journal.Tallies(ctx, limit)
	if err != nil {
		return nil, err
	}
	list := make([]fleet.JobSummary, len(tallies))
	for i, t := range tallies {
		list[i] = summary(t.JobInfo)
		list[i].Minions, list[i].Outcomes, list[i].Delivered = t.Minions, t.Outcomes, t.Delivered
		for _, n := range t.Outcomes {
			t.Minions -= n
		}
		list[i].Waiting = t.Minions
	}
	return list, nil
}

func summary(job journal.JobInfo) fleet.JobSummary {
	j := job.Job
	return fleet.JobSummary{
		ID: j.ID, Function: j.Function, Args: j.Args, By: j.By, Issued: j.Issued, Deadline: j.Deadline,
		Deployment: job.Deployment, App: job.App, Group: job.Group,
	}
}

// getJob tells how one job stands with each of its minions.
func (m *Master) getJob(ctx context.Context, r *http.Request) (any, error) {
	job, err := m.job(ctx, r)
	if err != nil {
		return nil, err
	}
	copies, err := m.journal.Deliveries(ctx, job.Job.ID)
	if err != nil {
		return nil, err
	}
	returns, err := m.journal.Returns(ctx, job.Job.ID)
	if err != nil {
		return nil, err
	}
	ended := map[fleet.MinionID]*fleet.Return{}
	for i := range returns {
		ended[returns[i].Minion] = &returns[i]
	}
	out := fleet.JobStatus{JobSummary: summary(job), PerMinion: []fleet.JobMinion{}}
	out.Minions, out.Outcomes = len(copies), map[fleet.Outcome]int{}
	for _, c := range copies {
		one := m.standing(c, ended[c.Minion])
		if one.Return != nil {
			out.Outcomes[one.Return.Outcome]++
		} else {
			out.Waiting++
		}
		if one.State == fleet.JobDelivered {
			out.Delivered++
		}
		out.PerMinion = append(out.PerMinion, one)
	}
	return out, nil
}

// standing is where one minion's copy of a job is.
func (m *Master) standing(d journal.Delivery, ended *fleet.Return) fleet.JobMinion {
	connected, since := m.roster.presence.state(d.Minion)
	out := fleet.JobMinion{Minion: d.Minion, Connected: connected, Since: since, Delivered: d.Delivered, Killer: d.Killer, Return: ended}
	switch {
	case ended != nil:
		out.State = fleet.JobEnded
	case !d.Delivered.IsZero():
		out.State = fleet.JobDelivered
	case d.Unsure || connected:
		out.State = fleet.JobSent
	default:
		out.State = fleet.JobQueued
	}
	return out
}

// postKill stops a job.
func (m *Master) postKill(ctx context.Context, r *http.Request) (any, error) {
	job, err := m.job(ctx, r)
	if err != nil {
		return nil, err
	}
	if job.Deployment != "" && r.URL.Query().Get("force") != "true" {
		return nil, &fleet.Problem{
			Message: fmt.Sprintf("job %s belongs to deployment %s", job.Job.ID, job.Deployment),
			Hint:    fmt.Sprintf("brine watch %s shows it; --force kills the job, which then counts as failed", job.Deployment),
			Exit:    fleet.ExitUsage,
		}
	}
	return m.dispatcher.kill(ctx, job.Job.ID, caller(ctx))
}
