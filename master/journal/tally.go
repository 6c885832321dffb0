package journal

import (
	"context"
	"encoding/json"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Tally is one job and how it stands with its minions.
type Tally struct {
	JobInfo   // without Minions
	Minions   int
	Outcomes  map[fleet.Outcome]int
	Delivered int // that have it and have not returned
}

// Delivery is how far one minion's copy of a job has got.
type Delivery struct {
	Minion    fleet.MinionID
	Delivered time.Time // zero: the minion does not have it, as far as is known
	Unsure    bool      // it may have it: its connection ended before it said so
	Killer    string    // who wants it stopped; empty: nobody
}

// Tallies returns the newest jobs, newest first, at most limit.
func (j *Journal) Tallies(ctx context.Context, limit int) (list []Tally, err error) {
	defer wrap(&err, "list jobs")
	_, err = all(ctx, j, func(scan scanner) (none struct{}, err error) {
		var of JobInfo
		var text []byte
		var outcome fleet.Outcome
		var n, delivered int
		if err := scan(&of.Deployment, &of.App, &of.Group, &text, &outcome, &n, &delivered); err != nil {
			return none, err
		}
		if err := json.Unmarshal(text, &of.Job); err != nil {
			return none, err
		}
		if n := len(list); n == 0 || list[n-1].Job.ID != of.Job.ID {
			list = append(list, Tally{JobInfo: of, Outcomes: map[fleet.Outcome]int{}})
		}
		t := &list[len(list)-1]
		t.Minions += n
		if outcome == "" {
			t.Delivered = delivered
		} else {
			t.Outcomes[outcome] = n
		}
		return none, nil
	}, `SELECT j.deployment, j.app, j.grp, j.job, COALESCE(r.outcome, '') AS ending, COUNT(*), SUM(CASE WHEN d.delivered > 0 THEN 1 ELSE 0 END)
		FROM (SELECT * FROM jobs ORDER BY issued DESC, id DESC LIMIT ?) AS j JOIN deliveries AS d ON d.job = j.id
		LEFT JOIN returns AS r ON r.job = d.job AND r.minion = d.minion AND r.last
		GROUP BY j.deployment, j.app, j.grp, j.job, j.issued, j.id, ending ORDER BY j.issued DESC, j.id DESC, ending`, limit)
	return list, err
}

// Deliveries returns how far each minion's copy of a job has got, by minion.
func (j *Journal) Deliveries(ctx context.Context, id fleet.JobID) (list []Delivery, err error) {
	defer wrap(&err, "list deliveries of job %s", id)
	return all(ctx, j, func(scan scanner) (d Delivery, err error) {
		var delivered int64
		err = scan(&d.Minion, &delivered, &d.Unsure, &d.Killer)
		d.Delivered = instant(max(delivered, 0))
		return d, err
	}, `SELECT minion, delivered, unsure, killer FROM deliveries WHERE job = ? ORDER BY minion`, id)
}
