// Package inbox writes a minion's jobs down before they are acknowledged, so that a job runs at most once, and a minion
// that died inside one can say so.
//
// There are two logs. The file jobs.log holds the jobs that are not done, with their arguments, which may be secret: it is
// written anew at each Done, so that they do not stay on the disk. The file seen.log holds the ids of those that are done.
package inbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/appendlog"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// memory is how long the id of a job is remembered after its deadline, or after it was taken if that was later.
const memory = 24 * time.Hour

// slack is how many records seen.log may have beyond twice what it needs.
const slack = 1000

// What Start says of a job that must not run.
var (
	ErrUnknown = errors.New("job was not taken or is done")
	ErrStarted = errors.New("job was started before")
)

// Inbox is an open inbox. Its methods may be called concurrently. One process at a time may have an inbox open.
//
//	Take -> unstarted --Start--> unfinished --Done--> only its id is remembered
//	                \-----------------Done (refused)-----/
type Inbox struct {
	mu    sync.Mutex // guards all below; held while the disk is written
	jobs  *appendlog.Log
	seen  *appendlog.Log
	last  uint64
	open  []*job                    // not done, in the order of Take
	known map[fleet.JobID]time.Time // all that were taken, and until when they are remembered
	kept  int                       // records of seen.log when it was written anew
	added int                       // records of seen.log since then

	unclean bool // Open found a done job in jobs.log: the minion died inside Done
}

type job struct {
	fleet.Job
	seq     uint64
	until   time.Time
	started bool
}

// jobRecord is one record of jobs.log: a job that was taken, or the start of one, or a number alone.
type jobRecord struct {
	Seq   uint64      `json:"seq,omitempty"`
	Job   *fleet.Job  `json:"job,omitempty"`
	Until time.Time   `json:"until,omitzero"`
	Start fleet.JobID `json:"start,omitempty"`
}

// seenRecord is one record of seen.log: a job that is done.
type seenRecord struct {
	ID    fleet.JobID `json:"id"`
	Until time.Time   `json:"until"`
}

// Open opens the inbox in dir, and makes dir with mode 0700 if there is none.
func Open(dir string) (*Inbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open inbox: %w", err)
	}
	b := &Inbox{known: map[fleet.JobID]time.Time{}}
	var err error
	if b.seen, err = appendlog.Open(filepath.Join(dir, "seen.log"), b.replaySeen); err != nil {
		return nil, fmt.Errorf("open inbox: %w", err)
	}
	if b.jobs, err = appendlog.Open(filepath.Join(dir, "jobs.log"), b.replayJob); err != nil {
		return nil, fmt.Errorf("open inbox: %w", errors.Join(err, b.Close()))
	}
	if b.unclean {
		err = b.jobs.Compact(b.jobRecords)
	}
	if err = errors.Join(err, b.tidy()); err != nil {
		return nil, fmt.Errorf("open inbox: %w", errors.Join(err, b.Close()))
	}
	return b, nil
}

func (b *Inbox) replaySeen(payload []byte) error {
	var r seenRecord
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("decode record: %w", err)
	}
	b.known[r.ID] = r.Until
	b.added++
	return nil
}

func (b *Inbox) replayJob(payload []byte) error {
	var r jobRecord
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("decode record: %w", err)
	}
	b.last = max(b.last, r.Seq)
	if j := b.find(r.Start); j != nil {
		j.started = true
	}
	if r.Job == nil {
		return nil
	}
	if _, done := b.known[r.Job.ID]; done {
		b.unclean = true
		return nil
	}
	b.add(&job{Job: *r.Job, seq: r.Seq, until: r.Until})
	return nil
}

func (b *Inbox) add(j *job) {
	b.open = append(b.open, j)
	b.known[j.ID] = j.until
}

// find returns a job that is not done, or nil.
func (b *Inbox) find(id fleet.JobID) *job {
	i := slices.IndexFunc(b.open, func(j *job) bool { return j.ID == id })
	if i < 0 {
		return nil
	}
	return b.open[i]
}

// Take writes a job and its number down. When it returns without an error, both are safe from a crash and a loss of power,
// and the job may be acknowledged. Fresh is false for a job whose id was taken before: it must not run.
func (b *Inbox) Take(seq uint64, taken fleet.Job) (fresh bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if taken.ID == "" {
		return false, errors.New("take job: it has no id")
	}
	_, known := b.known[taken.ID]
	if known && seq <= b.last {
		return false, nil
	}
	j := &job{Job: taken, seq: seq, until: later(taken.Deadline, time.Now()).Add(memory)}
	record := jobRecord{Seq: seq}
	if !known {
		record = j.record()
	}
	if err := appendJSON(b.jobs, record); err != nil {
		return false, fmt.Errorf("take job %s: %w", taken.ID, err)
	}
	b.last = max(b.last, seq)
	if !known {
		b.add(j)
	}
	return !known, nil
}

func (j *job) record() jobRecord { return jobRecord{Seq: j.seq, Job: &j.Job, Until: j.until} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Known reports whether a job was taken, and is not so long done that it is forgotten.
func (b *Inbox) Known(id fleet.JobID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.known[id]
	return known
}

// LastSeq returns the highest number that was taken; zero when there was none.
func (b *Inbox) LastSeq() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// Start marks a job as started, durably. Only after it returned without an error may the job run. A job that was started
// before gives ErrStarted, one that is not here ErrUnknown.
func (b *Inbox) Start(id fleet.JobID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.find(id)
	switch {
	case j == nil:
		return fmt.Errorf("start job %s: %w", id, ErrUnknown)
	case j.started:
		return fmt.Errorf("start job %s: %w", id, ErrStarted)
	}
	if err := appendJSON(b.jobs, jobRecord{Start: id}); err != nil {
		return fmt.Errorf("start job %s: %w", id, err)
	}
	j.started = true
	return nil
}

// Done marks a job as done, durably, and takes its arguments off the disk. Call it after the job's last return is in the
// spool, also for a job that was refused. A job that is not here is done already. After an error call it again.
func (b *Inbox) Done(id fleet.JobID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.find(id)
	if j == nil {
		return nil
	}
	if err := appendJSON(b.seen, seenRecord{ID: id, Until: j.until}); err != nil {
		return fmt.Errorf("finish job %s: %w", id, err)
	}
	b.added++
	b.open = slices.DeleteFunc(b.open, func(other *job) bool { return other == j })
	if err := b.jobs.Compact(b.jobRecords); err != nil {
		b.open = append(b.open, j)
		slices.SortFunc(b.open, bySeq)
		return fmt.Errorf("finish job %s: %w", id, err)
	}
	_ = b.tidy() // The job is done; a file that could not be made smaller now is made smaller later.
	return nil
}

func bySeq(a, b *job) int { return cmp.Compare(a.seq, b.seq) }

func (b *Inbox) jobRecords() ([][]byte, error) {
	records := []jobRecord{{Seq: b.last}}
	for _, j := range b.open {
		records = append(records, j.record())
		if j.started {
			records = append(records, jobRecord{Start: j.ID})
		}
	}
	return encode(records)
}

// tidy forgets ids whose time is over, each time that seen.log has doubled or so.
func (b *Inbox) tidy() error {
	if b.added <= b.kept+slack {
		return nil
	}
	now := time.Now()
	maps.DeleteFunc(b.known, func(_ fleet.JobID, until time.Time) bool { return until.Before(now) })
	done := maps.Clone(b.known)
	for _, j := range b.open {
		b.known[j.ID] = j.until // For ever, while it is not done.
		delete(done, j.ID)
	}
	records := make([]seenRecord, 0, len(done))
	for id, until := range done {
		records = append(records, seenRecord{id, until})
	}
	b.kept, b.added = len(records), 0
	return b.seen.Compact(func() ([][]byte, error) { return encode(records) })
}

// Unstarted returns the jobs that were taken and not started, in order. After a restart they are run, or refused when their
// deadline has passed.
func (b *Inbox) Unstarted() []fleet.Job { return b.list(false) }

// Unfinished returns the jobs that were started and are not done, in order. Right after Open these are the ones that the
// minion died in: they are reported as interrupted and never run again.
func (b *Inbox) Unfinished() []fleet.Job { return b.list(true) }

func (b *Inbox) list(started bool) []fleet.Job {
	b.mu.Lock()
	defer b.mu.Unlock()
	var jobs []fleet.Job
	for _, j := range b.open {
		if j.started == started {
			jobs = append(jobs, j.Job)
		}
	}
	return jobs
}

// Torn returns how many bytes Open found half written at the end of its files and cut off: what was being written when the
// process died. A large number tells of a damaged disk.
func (b *Inbox) Torn() int64 { return b.jobs.Dropped() + b.seen.Dropped() }

// Close closes the files. Taking jobs after it is an error.
func (b *Inbox) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	for _, l := range []*appendlog.Log{b.jobs, b.seen} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

func appendJSON(l *appendlog.Log, record any) error {
	payload, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return l.Append(payload)
}

func encode[T any](records []T) ([][]byte, error) {
	payloads := make([][]byte, len(records))
	for i, r := range records {
		var err error
		if payloads[i], err = json.Marshal(r); err != nil {
			return nil, fmt.Errorf("encode record: %w", err)
		}
	}
	return payloads, nil
}
