// Package journaltest is the suite that the journal must pass on every database.
package journaltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// Suite tests the journal on one database. Each call of fresh makes a new place for a journal and returns a function that
// opens it, as often as it is called.
func Suite(t *testing.T, fresh func(*testing.T) func() (*journal.Journal, error)) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"An id belongs to one key":                                   keys,
		"A token admits as many keys as it has uses":                 tokens,
		"A minion comes back as it was saved":                        minions,
		"A job is numbered once and sent until acknowledged":         jobs,
		"A job's secrets go when it is not to be sent any more":      secrets,
		"A job of many minions is stored once and kept for the last": sharing,
		"A part delivered twice is recorded once":                    returns,
		"A job that does not arrive in time expires once":            expiry,
		"A job is killed where it is":                                killing,
		"A group is deployed to by one at a time":                    lock,
		"Deployments are listed newest first":                        history,
		"A lock is one person's until it is over":                    locks,
		"A revision is found by what it was built from":              revisions,
		"A group goes back to the target before":                     targets,
		"The log has no gaps and follows the commits":                logOrder,
		"What was accepted is seen by all that comes after":          accepted,
		"What was written is there after reopening":                  reopen,
		"A change whose turn does not come in time is not begun":     turn,
		"A part of the log is read by deployment and by a cursor":    cursors,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{open: fresh(t)}
			f.reopen(t)
			t.Cleanup(func() { check(t, f.Close()) })
			test(t, f)
		})
	}
}

type fixture struct {
	*journal.Journal
	open func() (*journal.Journal, error)
}

func (f *fixture) reopen(t *testing.T) {
	t.Helper()
	if f.Journal != nil {
		check(t, f.Close())
	}
	j, err := f.open()
	check(t, err)
	f.Journal = j
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func keys(t *testing.T, f *fixture) {
	ctx := t.Context()
	first := fleet.MinionKey{ID: "web1", Key: fleet.Key{1}, State: fleet.KeyAccepted, Since: noon, By: "alice", From: "10.0.0.1"}
	first.Fingerprint = first.Key.Fingerprint()
	check(t, f.PutKey(ctx, first, fleet.Record{Kind: fleet.KeyChanged, Minion: "web1"}))

	second := first
	second.Key, second.Since = fleet.Key{2}, noon.Add(time.Hour)
	second.Fingerprint = second.Key.Fingerprint()
	if f.PutKey(ctx, second) == nil {
		t.Fatal("a second key took an id that is held")
	}
	first.State = fleet.KeyRevoked
	check(t, f.PutKey(ctx, first))
	check(t, f.PutKey(ctx, second))

	holder, err := f.KeyOf(ctx, "web1")
	check(t, err)
	same(t, holder, second)
	old, err := f.KeyByPublic(ctx, fleet.Key{1})
	check(t, err)
	same(t, old, first)
	list, err := f.Keys(ctx)
	check(t, err)
	same(t, list, []fleet.MinionKey{first, second})
	check(t, f.DeleteKey(ctx, "web1"))
	_, err = f.KeyByPublic(ctx, fleet.Key{2})
	is(t, err, journal.ErrNotFound)
	end, err := f.End(ctx)
	check(t, err)
	same(t, end, 1)
}

func tokens(t *testing.T, f *fixture) {
	ctx := t.Context()
	check(t, f.AddToken(ctx, "abc", noon, 3, "alice"))
	use := func(n byte, now time.Time) error {
		id := fleet.MinionID(fmt.Sprintf("web%d", n))
		return f.UseToken(ctx, "abc", now, fleet.MinionKey{ID: id, Key: fleet.Key{n}, State: fleet.KeyAccepted})
	}
	is(t, use(1, noon), journal.ErrTokenExpired)
	is(t, f.UseToken(ctx, "abd", noon, fleet.MinionKey{}), journal.ErrTokenUnknown)

	var admitted, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range byte(10) {
		all.Go(func() {
			err := use(n, noon.Add(-time.Second))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				admitted++
			case errors.Is(err, journal.ErrTokenUsed):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := f.Keys(ctx)
	check(t, err)
	same(t, []int{admitted, refused, len(list)}, []int{3, 7, 3})
}

func minions(t *testing.T, f *fixture) {
	ctx := t.Context()
	m := fleet.Minion{
		ID: "db1", Version: "1.0", Connected: true, Since: noon, LastSeen: noon.Add(time.Minute), Tags: fleet.Tags{"role": "db"},
		Grains: fleet.Grains{"mem_total": int64(8345678901), "load": 0.5, "disks": []any{map[string]any{"size": int64(1) << 60}}},
	}
	is(t, f.SetDrained(ctx, "db1", true), journal.ErrNotFound)
	check(t, f.SaveMinion(ctx, m))
	check(t, f.SetDrained(ctx, "db1", true))
	check(t, f.SaveMinion(ctx, m))
	m.Drained = true
	list, err := f.Minions(ctx)
	check(t, err)
	same(t, list, []fleet.Minion{m})

	f.reopen(t) // a master that starts learns who was connected to the one before
	list, err = f.Minions(ctx)
	check(t, err)
	same(t, list, []fleet.Minion{m})
	check(t, f.DeleteMinion(ctx, "db1"))
	list, err = f.Minions(ctx)
	check(t, err)
	same(t, len(list), 0)
}

func job(id fleet.JobID, minion fleet.MinionID) fleet.Job {
	return fleet.Job{
		ID: id, Minion: minion, Function: "test.ping", Args: json.RawMessage(`{"a":1}`), By: "alice", Issued: noon,
		Deadline: time.Now().Add(time.Hour).UTC().Round(0),
	}
}

func ack(t *testing.T, f *fixture, minion fleet.MinionID, seq uint64) {
	t.Helper()
	_, err := f.Record(t.Context(), journal.Told{Acks: []journal.Ack{{Minion: minion, Seq: seq}}})
	check(t, err)
}

func jobs(t *testing.T, f *fixture) {
	ctx := t.Context()
	now := time.Now()
	ping := []fleet.Job{job("j1", "web2"), job("j1", "web1")}
	first, err := f.AddJobs(ctx, "", "", "", ping)
	check(t, err)
	same(t, []uint64{first[0].Seq, first[1].Seq}, []uint64{1, 1})
	another := ping[1]
	another.Function = "test.other"
	again, err := f.AddJobs(ctx, "", "", "", []fleet.Job{another, job("j2", "web1")})
	check(t, err)
	same(t, again[0], first[1])
	same(t, again[1].Seq, 2)

	due, err := f.Arrived(ctx, "web1", now)
	check(t, err)
	same(t, due.Jobs, []journal.Envelope{first[1], again[1]})

	ack(t, f, "web1", 1)
	ack(t, f, "web1", 99)
	due, err = f.Arrived(ctx, "web1", now)
	check(t, err)
	same(t, due.Jobs, again[1:])

	info, err := f.Job(ctx, "j1")
	check(t, err)
	ping[0].Minion = ""
	same(t, info, journal.JobInfo{Job: ping[0], Minions: []fleet.MinionID{"web1", "web2"}})
	_, err = f.Job(ctx, "j3")
	is(t, err, journal.ErrNotFound)

	_, err = f.AddJobs(ctx, "", "", "", []fleet.Job{job("j4", "web1"), {ID: "j4", Minion: "web2"}})
	if err == nil {
		t.Fatal("a job without a deadline was taken")
	}
	_, err = f.Job(ctx, "j4") // all or nothing
	is(t, err, journal.ErrNotFound)
}

func secrets(t *testing.T, f *fixture) {
	ctx := t.Context()
	late := job("j3", "web1")
	late.Deadline = time.Now().Add(-2 * time.Hour)
	orders := []fleet.Job{job("j1", "web1"), job("j2", "web1"), late, job("j4", "web2")}
	_, err := f.AddJobs(ctx, "d1", "shop", "production", orders)
	check(t, err)
	ack(t, f, "web1", 1)
	_, err = f.Record(ctx, journal.Told{Returns: []fleet.Return{{Job: "j2", Minion: "web1", Last: true}}})
	check(t, err)
	check(t, f.DeleteMinion(ctx, "web2"))
	_, err = f.Expire(ctx, time.Now(), func(fleet.MinionID) bool { return false })
	check(t, err)
	again, err := f.AddJobs(ctx, "d1", "shop", "production", orders)
	check(t, err)
	for i, e := range again {
		if e.Due || e.Job.Args != nil {
			t.Errorf("job %d is still there", i+1)
		}
	}
	info, err := f.Job(ctx, "j1")
	check(t, err)
	same(t, info.Deployment, "d1")
	same(t, len(info.Job.Args), 0)
}

func returns(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.AddJobs(ctx, "d1", "shop", "production", []fleet.Job{job("j1", "web1"), job("j1", "web2")})
	check(t, err)
	event := fleet.EventResult{Event: fleet.Install, Outcome: fleet.EventSucceeded, Started: noon}
	parts := []fleet.Return{
		{Job: "j1", Minion: "web1", Part: 0, Time: noon, Event: &event},
		{Job: "j1", Minion: "web1", Part: 1, Time: noon},
		{Job: "j1", Minion: "web1", Part: 2, Time: noon, Last: true, Outcome: fleet.Succeeded, Value: json.RawMessage(`{"x":1}`)},
		{Job: "j1", Minion: "web3", Part: 0, Time: noon, Last: true},
		{Job: "j9", Minion: "web1", Part: 0, Time: noon, Last: true},
	}
	for range 2 {
		unknown, err := f.Record(ctx, journal.Told{Returns: append(parts, parts...)})
		check(t, err)
		same(t, unknown, 4)
	}
	records, err := f.After(ctx, 0, 10)
	check(t, err)
	same(t, len(records), 2)
	base := fleet.Record{By: "alice", App: "shop", Group: "production", Deployment: "d1", Minion: "web1", Job: "j1"}
	want := []fleet.Record{base, base}
	want[0].Seq, want[0].Time, want[0].Kind, want[0].Event = 1, records[0].Time, fleet.MinionEvent, &event
	want[1].Seq, want[1].Time, want[1].Kind, want[1].Return = 2, records[1].Time, fleet.JobReturned, &parts[2]
	same(t, records, want)

	last, err := f.Returns(ctx, "j1")
	check(t, err)
	same(t, last, parts[2:3])
	one, err := f.Return(ctx, "j1", "web1")
	check(t, err)
	same(t, one, parts[2])
	_, err = f.Return(ctx, "j1", "web2")
	is(t, err, journal.ErrNotFound)
	events, err := f.Events(ctx, "j1", "web1")
	check(t, err)
	same(t, events, []fleet.EventResult{event})
}

func deployment(id fleet.DeploymentID, kind fleet.DeploymentKind, minute int) *fleet.Deployment {
	return &fleet.Deployment{
		ID: id, App: "shop", Group: "production", Kind: kind, Status: fleet.Running, By: "alice",
		Created: noon.Add(time.Duration(minute) * time.Minute),
	}
}

func lock(t *testing.T, f *fixture) {
	ctx := t.Context()
	var mu sync.Mutex
	var holder *fleet.Deployment
	var refused []*journal.LockedError
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			d := deployment(fleet.DeploymentID(fmt.Sprintf("d%d", n)), fleet.KindDeploy, n)
			err := f.BeginDeployment(ctx, d, fleet.Record{Kind: fleet.DeploymentChanged})
			var locked *journal.LockedError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && holder == nil:
				holder = d
			case errors.As(err, &locked):
				refused = append(refused, locked)
			default:
				t.Errorf("began %s: %v", d.ID, err)
			}
		})
	}
	all.Wait()
	same(t, len(refused), 7)
	for _, r := range refused {
		same(t, r.Holder.ID, holder.ID)
	}
	check(t, f.BeginDeployment(ctx, deployment("n1", fleet.KindNewcomer, 9)))
	open, err := f.Unended(ctx)
	check(t, err)
	same(t, len(open), 2)
	holder.Status = fleet.DeploySucceeded
	check(t, f.SaveDeployment(ctx, holder, nil, fleet.Record{Kind: fleet.DeploymentChanged}))
	check(t, f.BeginDeployment(ctx, deployment("d9", fleet.KindRollback, 10)))
	end, err := f.End(ctx) // the refused ones left no record
	check(t, err)
	same(t, end, 2)
	if f.BeginDeployment(ctx, holder) == nil {
		t.Error("a deployment began twice")
	}
}

func history(t *testing.T, f *fixture) {
	ctx := t.Context()
	is(t, f.SaveDeployment(ctx, deployment("d1", fleet.KindDeploy, 1), nil), journal.ErrNotFound)
	for n := range 5 {
		d := deployment(fleet.DeploymentID(fmt.Sprintf("d%d", n)), fleet.KindDeploy, n)
		d.Status = fleet.DeployFailed
		d.Minions = []*fleet.MinionProgress{{Minion: "web1", Phase: fleet.MinionFailed, Updated: noon}}
		if n == 2 {
			d.Group = "staging"
		}
		check(t, f.BeginDeployment(ctx, d))
	}
	list, err := f.Deployments(ctx, journal.Filter{App: "shop", Group: "production", Limit: 3})
	check(t, err)
	var ids []fleet.DeploymentID
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	same(t, ids, []fleet.DeploymentID{"d4", "d3", "d1"})
	d, err := f.Deployment(ctx, "d4")
	check(t, err)
	same(t, d.ID, list[0].ID)
	same(t, d.Minions[0].Phase, fleet.MinionFailed)
	d.Minions = append(d.Minions, &fleet.MinionProgress{Minion: "web0", Phase: fleet.Waiting})
	check(t, f.SaveDeployment(ctx, d, d.Minions))
	d.Minions[1].Phase = fleet.Active
	check(t, f.SaveDeployment(ctx, d, d.Minions[1:]))
	saved, err := f.Deployment(ctx, "d4")
	check(t, err)
	same(t, saved, d)
	_, err = f.Deployment(ctx, "d5")
	is(t, err, journal.ErrNotFound)
}

func locks(t *testing.T, f *fixture) {
	ctx := t.Context()
	lock := func(owner string, at time.Time, lease time.Duration) *fleet.Lock {
		other, err := f.Lock(ctx, fleet.Lock{App: "shop", Group: "production", Owner: owner, Since: at, Until: at.Add(lease)})
		check(t, err)
		return other
	}
	if other := lock("alice", noon, time.Hour); other != nil {
		t.Errorf("locked already: %v", other)
	}
	if other := lock("bob", noon.Add(time.Minute), time.Hour); other == nil || other.Owner != "alice" {
		t.Errorf("bob took alice's lock: %v", other)
	}
	if other := lock("alice", noon.Add(time.Minute), 2*time.Hour); other != nil {
		t.Errorf("alice's own lock is in her way: %v", other)
	}
	list, err := f.Locks(ctx, noon.Add(time.Hour))
	check(t, err)
	same(t, len(list), 1)
	if other := lock("bob", noon.Add(3*time.Hour), time.Hour); other != nil {
		t.Errorf("a lock outlived its lease: %v", other)
	}
	check(t, f.Unlock(ctx, "shop", "production"))
	is(t, f.Unlock(ctx, "shop", "production"), journal.ErrNotFound)
}

func revisions(t *testing.T, f *fixture) {
	ctx := t.Context()
	add := func(app fleet.AppName, digest fleet.Digest, commit string, minute int) fleet.Revision {
		r := fleet.Revision{
			Digest: digest, App: app, Recipe: "r1", Origin: fleet.Origin{Commit: commit},
			Built: noon.Add(time.Duration(minute) * time.Minute),
		}
		check(t, f.AddRevision(ctx, r))
		return r
	}
	old := add("shop", "aa", "c1", 1)
	same2 := add("shop", "aa", "c2", 2) // another commit with the same tree
	add("blog", "aa", "c1", 3)
	newest := add("shop", "bb", "c1", 4) // a build that is not reproducible
	list, err := f.Revisions(ctx, "shop")
	check(t, err)
	same(t, list, []fleet.Revision{newest, same2, old})
	r, err := f.FindRevision(ctx, "shop", "c1", "r1")
	check(t, err)
	same(t, r, newest)
	r, err = f.Revision(ctx, "shop", "aa")
	check(t, err)
	same(t, r, same2)
	_, err = f.FindRevision(ctx, "shop", "c1", "r2")
	is(t, err, journal.ErrNotFound)
}

func targets(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.Target(ctx, "shop", "production")
	is(t, err, journal.ErrNotFound)
	for _, d := range []fleet.Digest{"v1", "v2", "v2", "v3"} {
		check(t, f.SetTarget(ctx, "shop", "production", d, "d1"))
	}
	now, err := f.Target(ctx, "shop", "production")
	check(t, err)
	same(t, now, "v3")
	back, err := f.LastGood(ctx, "shop", "production", "v3")
	check(t, err)
	same(t, back, "v2")
	_, err = f.LastGood(ctx, "shop", "staging", "v3")
	is(t, err, journal.ErrNotFound)

	check(t, f.SetLive(ctx, "shop", "production", map[fleet.MinionID]fleet.Digest{"web1": "v1"}))
	check(t, f.SetLive(ctx, "shop", "production", map[fleet.MinionID]fleet.Digest{"web1": "v2", "web2": "v2"}))
	check(t, f.SetLive(ctx, "shop", "production", map[fleet.MinionID]fleet.Digest{"web2": ""}))
	live, err := f.Live(ctx, "shop", "production")
	check(t, err)
	same(t, live, map[fleet.MinionID]fleet.Digest{"web1": "v2"})
}

// logOrder has a reader follow the log by Changed while many write to it in every way.
func logOrder(t *testing.T, f *fixture) {
	const writers, each = 8, 25
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var orders []fleet.Job
	for w := range writers {
		for n := range each {
			orders = append(orders, job(fleet.JobID(fmt.Sprintf("j%d-%d", w, n)), "web1"))
		}
	}
	_, err := f.AddJobs(ctx, "", "", "", orders)
	check(t, err)

	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range each {
				id := fleet.JobID(fmt.Sprintf("j%d-%d", w, n))
				_, err := f.Record(ctx, journal.Told{Returns: []fleet.Return{{Job: id, Minion: "web1", Last: true}}})
				check(t, err)
				check(t, f.Append(ctx, fleet.Record{Message: string(id)}, fleet.Record{Message: string(id)}))
			}
		})
	}
	var seen []fleet.Record
	for len(seen) < writers*each*3 {
		changed := f.Changed()
		batch, err := f.After(ctx, uint64(len(seen)), 50)
		check(t, err)
		if seen = append(seen, batch...); len(batch) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%d records, then nothing", len(seen))
		}
	}
	all.Wait()
	for i, r := range seen {
		if r.Seq != uint64(i)+1 || r.Time.IsZero() {
			t.Fatalf("record %d has number %d and time %v", i+1, r.Seq, r.Time)
		}
	}
}

func cursors(t *testing.T, f *fixture) {
	ctx := t.Context()
	check(t, f.Append(ctx, fleet.Record{Deployment: "d1"}, fleet.Record{Deployment: "d2"}, fleet.Record{}, fleet.Record{Deployment: "d1"}))
	list, err := f.AfterOf(ctx, "d1", 0, 10)
	check(t, err)
	var seqs []uint64
	for _, r := range list {
		seqs = append(seqs, r.Seq)
	}
	same(t, seqs, []uint64{1, 4})
	for _, want := range []uint64{0, 3, 4} {
		check(t, f.SetCursor(ctx, "file", want))
		f.reopen(t)
		got, err := f.Cursor(ctx, "file")
		check(t, err)
		same(t, got, want)
	}
	other, err := f.Cursor(ctx, "webhook")
	check(t, err)
	same(t, other, 0)
}

func reopen(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.AddJobs(ctx, "", "", "", []fleet.Job{job("j1", "web1")})
	check(t, err)
	check(t, f.Append(ctx, fleet.Record{Message: "before"}))
	check(t, f.DeleteMinion(ctx, "web1"))
	f.reopen(t)
	more, err := f.AddJobs(ctx, "", "", "", []fleet.Job{job("j2", "web1")})
	check(t, err)
	same(t, more[0].Seq, 2) // a number is never used twice, not even when the minion had gone
	check(t, f.Append(ctx, fleet.Record{Message: "after"}))
	list, err := f.After(ctx, 0, 10)
	check(t, err)
	same(t, len(list), 2)
	same(t, []any{list[1].Seq, list[1].Message}, []any{uint64(2), "after"})
}

func turn(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, f.Append(ctx, fleet.Record{}), context.Canceled)

	// One that has begun is finished.
	jobs := copies("j1", 2000)
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := f.AddJobs(ctx, "", "", "", jobs); err != nil {
		is(t, err, context.DeadlineExceeded)
		_, err = f.Job(t.Context(), "j1")
		is(t, err, journal.ErrNotFound)
		return
	}
	info, err := f.Job(t.Context(), "j1")
	check(t, err)
	same(t, len(info.Minions), len(jobs))
}

// accepted is about what is committed before the tables have it.
func accepted(t *testing.T, f *fixture) {
	ctx := t.Context()
	const minions, rounds = 120, 5
	for n := range rounds {
		jobs := copies(fleet.JobID(fmt.Sprint("j", n)), minions)
		list, err := f.AddJobs(ctx, "", "", "", jobs)
		check(t, err)
		again, err := f.AddJobs(ctx, "", "", "", jobs[:2])
		check(t, err)
		same(t, again, list[:2])
		var told journal.Told
		for i, e := range list {
			if e.Seq != uint64(n)+1 {
				t.Fatalf("round %d has number %d", n, e.Seq)
			}
			told.Acks = append(told.Acks, journal.Ack{Minion: e.Job.Minion, Seq: e.Seq})
			if i%2 == 0 {
				told.Returns = append(told.Returns, fleet.Return{Job: e.Job.ID, Minion: e.Job.Minion, Last: true, Outcome: fleet.Succeeded})
			}
		}
		due, err := f.Arrived(ctx, list[7].Job.Minion, time.Now())
		check(t, err)
		same(t, due.Jobs, list[7:8])
		check(t, f.Accept(ctx, told))
		due, err = f.Arrived(ctx, list[7].Job.Minion, time.Now())
		check(t, err)
		same(t, len(due.Jobs), 0)
		check(t, f.Accept(ctx, told)) // sent twice, recorded once
		switch n % 3 {
		case 0:
			f.reopen(t)
		case 1:
			check(t, f.Append(ctx, fleet.Record{Message: "after them"}))
		}
		got, err := f.Returns(ctx, list[0].Job.ID)
		check(t, err)
		same(t, len(got), minions/2)
	}
	records, err := f.After(ctx, 0, 1<<20)
	check(t, err)
	var messages []uint64
	for i, r := range records {
		same(t, r.Seq, uint64(i)+1)
		if r.Message != "" {
			messages = append(messages, r.Seq)
		}
	}
	same(t, messages, []uint64{2*minions/2 + 1, 5*minions/2 + 2})
	told := journal.Told{Returns: []fleet.Return{{Job: "never", Minion: "web0001", Last: true}}}
	check(t, f.Accept(ctx, told))
	_, err = f.End(ctx)
	check(t, err)
	same(t, f.Unknown(), 1)
	same(t, f.Unknown(), 0)
}

// copies are one job for n minions.
func copies(id fleet.JobID, n int) []fleet.Job {
	one := job(id, "")
	list := make([]fleet.Job, n)
	for i := range list {
		list[i] = one
		list[i].Minion = fleet.MinionID(fmt.Sprintf("web%04d", i))
	}
	return list
}

// sharing is about one job for many: it is stored once, and no minion's end takes it from another.
func sharing(t *testing.T, f *fixture) {
	ctx := t.Context()
	jobs := copies("j1", 250)
	_, err := f.AddJobs(ctx, "d1", "shop", "production", jobs[:120])
	check(t, err)
	jobs[200].Args = json.RawMessage(`{"b":2}`)
	list, err := f.AddJobs(ctx, "d1", "shop", "production", jobs)
	check(t, err)
	for i, e := range list {
		same(t, e, journal.Envelope{Seq: 1, Job: jobs[i], Due: true})
	}
	for _, j := range jobs[:249] {
		if j.Minion != jobs[200].Minion {
			ack(t, f, j.Minion, 1)
			ack(t, f, j.Minion, 1)
		}
	}
	f.reopen(t)
	for _, i := range []int{200, 249} {
		due, err := f.Arrived(ctx, jobs[i].Minion, time.Now())
		check(t, err)
		same(t, due.Jobs, list[i:i+1])
		ack(t, f, jobs[i].Minion, 1)
	}
	list, err = f.AddJobs(ctx, "d1", "shop", "production", jobs)
	check(t, err)
	for _, e := range list {
		if e.Due || e.Job.Args != nil {
			t.Errorf("the job of %s is still there", e.Job.Minion)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// outcomes gives how each minion's copy of a job ended.
func outcomes(t *testing.T, f *fixture, id fleet.JobID) map[fleet.MinionID]fleet.Outcome {
	t.Helper()
	list, err := f.Returns(t.Context(), id)
	check(t, err)
	ends := map[fleet.MinionID]fleet.Outcome{}
	for _, r := range list {
		if ends[r.Minion] != "" {
			t.Errorf("%s has two outcomes of %s", r.Minion, id)
		}
		ends[r.Minion] = r.Outcome
	}
	return ends
}

func expiry(t *testing.T, f *fixture) {
	ctx := t.Context()
	list, err := f.AddJobs(ctx, "", "", "", []fleet.Job{job("j1", "away"), job("j1", "busy"), job("j1", "lost"), job("j1", "done")})
	check(t, err)
	ack(t, f, "done", 1)
	check(t, f.Disconnected(ctx, "lost")) // it may have got its copy
	later := list[0].Job.Deadline.Add(time.Second)
	busy := func(id fleet.MinionID) bool { return id == "busy" }
	for want := 1; want >= 0; want-- {
		n, err := f.Expire(ctx, later, busy)
		check(t, err)
		same(t, n, want)
	}
	same(t, outcomes(t, f, "j1"), map[fleet.MinionID]fleet.Outcome{"away": fleet.Expired})

	due, err := f.Arrived(ctx, "lost", later) // it is asked, though it is late
	check(t, err)
	same(t, len(due.Jobs), 1)
	due, err = f.Arrived(ctx, "busy", later)
	check(t, err)
	same(t, len(due.Jobs), 0)
	_, err = f.Expire(ctx, later.Add(24*time.Hour), busy)
	check(t, err)
	same(t, outcomes(t, f, "j1"), map[fleet.MinionID]fleet.Outcome{"away": fleet.Expired, "busy": fleet.Expired, "lost": fleet.Expired})

	// It had run after all: no return is lost, and the minion's word counts.
	for range 2 {
		_, err = f.Record(ctx, journal.Told{Returns: []fleet.Return{{Job: "j1", Minion: "lost", Last: true, Outcome: fleet.Succeeded}}})
		check(t, err)
	}
	same(t, outcomes(t, f, "j1")["lost"], fleet.Succeeded)

	// What a minion will not even take has an outcome too.
	_, err = f.AddJobs(ctx, "", "", "", []fleet.Job{job("j2", "done")})
	check(t, err)
	check(t, f.Refuse(ctx, "done", 2, "signature is wrong"))
	same(t, outcomes(t, f, "j2"), map[fleet.MinionID]fleet.Outcome{"done": fleet.Refused})
	due, err = f.Arrived(ctx, "done", noon)
	check(t, err)
	same(t, len(due.Jobs), 0)

	// A master that died does not know what it had sent to whom it was connected to.
	check(t, f.SaveMinion(ctx, fleet.Minion{ID: "near", Connected: true}))
	_, err = f.AddJobs(ctx, "", "", "", []fleet.Job{job("j3", "near"), job("j3", "away")})
	check(t, err)
	f.reopen(t)
	_, err = f.Expire(ctx, later.Add(time.Hour), func(fleet.MinionID) bool { return false })
	check(t, err)
	same(t, outcomes(t, f, "j3"), map[fleet.MinionID]fleet.Outcome{"away": fleet.Expired})
	due, err = f.Arrived(ctx, "near", later.Add(time.Hour))
	check(t, err)
	same(t, len(due.Jobs), 1)
	news, next, err := f.ReturnsAfter(ctx, "j3", 0)
	check(t, err)
	same(t, len(news), 1)
	news, again, err := f.ReturnsAfter(ctx, "j3", next)
	check(t, err)
	same(t, len(news), 0)
	same(t, again, next)
}

func killing(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.AddJobs(ctx, "", "", "", []fleet.Job{job("j1", "away"), job("j1", "busy"), job("j1", "done"), job("j1", "lost"), job("j1", "near")})
	check(t, err)
	ack(t, f, "busy", 1)
	check(t, f.Disconnected(ctx, "lost"))
	_, err = f.Record(ctx, journal.Told{Returns: []fleet.Return{{Job: "j1", Minion: "done", Last: true, Outcome: fleet.Failed}}})
	check(t, err)
	kill := func() journal.Killing {
		k, err := f.Kill(ctx, "j1", "alice", func(id fleet.MinionID) bool { return id == "near" })
		check(t, err)
		return k
	}
	tell := []journal.Order{{Minion: "busy", Job: "j1", By: "alice"}, {Minion: "lost", Job: "j1", By: "alice"}, {Minion: "near", Job: "j1", By: "alice"}}
	same(t, kill(), journal.Killing{Withdrawn: []fleet.MinionID{"away"}, Tell: tell, Ended: []fleet.MinionID{"done"}})
	same(t, kill(), journal.Killing{Tell: tell, Ended: []fleet.MinionID{"away", "done"}})
	same(t, outcomes(t, f, "j1"), map[fleet.MinionID]fleet.Outcome{"away": fleet.Killed, "done": fleet.Failed})

	for _, id := range []fleet.MinionID{"busy", "lost"} { // they are told until they say what came of it
		due, err := f.Arrived(ctx, id, time.Now())
		check(t, err)
		same(t, due, journal.Due{Kill: []journal.Order{{Minion: id, Job: "j1", By: "alice"}}})
	}
	_, err = f.Record(ctx, journal.Told{Returns: []fleet.Return{{Job: "j1", Minion: "busy", Last: true, Outcome: fleet.Killed}}})
	check(t, err)
	due, err := f.Arrived(ctx, "busy", time.Now())
	check(t, err)
	same(t, due, journal.Due{})

	list, err := f.Tallies(ctx, 10)
	check(t, err)
	same(t, list[0].Outcomes, map[fleet.Outcome]int{fleet.Killed: 2, fleet.Failed: 1})
	same(t, []int{list[0].Minions, list[0].Delivered}, []int{5, 0})
	copies, err := f.Deliveries(ctx, "j1")
	check(t, err)
	same(t, []bool{copies[0].Delivered.IsZero(), copies[1].Delivered.IsZero(), copies[3].Unsure}, []bool{true, false, true})
	same(t, copies[3].Killer, "alice")
}
