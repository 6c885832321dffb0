package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/appendlog"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// front is the log in front of the tables. What thousands of minions tell at once, and a job for all of them, is appended to
// it, with one sync for many, and is committed then: it survives a kill or a power cut. The tables are filled from it a
// little later, in large transactions. Who reads, or writes to the tables, waits until they have what was committed
// before; so nobody sees that they are behind.
//
//	accept --append, sync--> accepted --fill, commit--> in the tables --all of a segment are--> deleted
//
// The tables know the number of the last record that they have, so that after a crash each is filled in once.
type front struct {
	prefix string // of the segments' names
	fill   func([]*entry) error

	writing  sync.Mutex     // held while records are put in line
	log      *appendlog.Log // guarded by writing; the last segment; nil: none yet
	path     string         // guarded by writing; of log
	older    []segment      // guarded by writing
	last     uint64         // guarded by writing; number of the last record
	inFlight int            // guarded by writing; records that are being appended to log

	mu          sync.Mutex
	queue       []*entry                  // guarded by mu; accepted, and not taken to be filled in
	rows, bytes int                       // guarded by mu; of all that is accepted and not in the tables
	accepted    uint64                    // guarded by mu; number of the last accepted record
	filled      uint64                    // guarded by mu; of the last one that is in the tables
	wanted      uint64                    // guarded by mu; of the last one that somebody waits for
	newest      time.Time                 // guarded by mu; when the last return was accepted
	about       map[fleet.MinionID]uint64 // guarded by mu; the last record about a minion's jobs, if it is not in the tables
	issued      map[fleet.JobID]bool      // guarded by mu; jobs that are not in the tables
	progress    chan struct{}             // guarded by mu; closed and replaced when something changes for those who wait
	closing     bool                      // guarded by mu
	err         error                     // guarded by mu; why the tables cannot be filled any more

	kick  chan struct{} // tells the filler to look again
	ended chan struct{}
}

// segment is a file whose records are not all in the tables yet.
type segment struct {
	path string
	last uint64
}

const (
	// fillSmall is how many rows are filled in at once, because that is little work. More wait a moment for what comes with
	// them: until no return has come for fillQuiet, or for fillPatience, or until somebody wants to read them.
	fillSmall    = 128
	fillQuiet    = 20 * time.Millisecond
	fillPatience = 250 * time.Millisecond
	// fillRows bounds a transaction.
	fillRows = 4096
	// Beyond these nothing is accepted until some of it is in the tables.
	behindRows  = 64 << 10
	behindBytes = 64 << 20
	// segmentSize is when a new segment is begun, in bytes; segmentKept is what may stay after all of it is in the tables.
	segmentSize = 8 << 20
	segmentKept = 1 << 20
)

func newFront(prefix string, filled uint64, fill func([]*entry) error) *front {
	return &front{
		prefix: prefix, fill: fill, last: filled, accepted: filled, filled: filled,
		about: map[fleet.MinionID]uint64{}, issued: map[fleet.JobID]bool{},
		progress: make(chan struct{}), kick: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// replay fills in what a crash has left in the log, and starts the filler.
func (f *front) replay() error {
	paths, err := filepath.Glob(escapeGlob(f.prefix) + "*[0-9]")
	if err != nil {
		return fmt.Errorf("find the log: %w", err)
	}
	slices.Sort(paths) // the numbers in the names have one length
	for _, path := range paths {
		var found []*entry
		l, err := appendlog.Open(path, func(payload []byte) error {
			e, err := decodeEntry(payload)
			if err == nil && e.n > f.filled {
				found = append(found, e)
			}
			return err
		})
		if err != nil {
			return err
		}
		for part := range slices.Chunk(found, 16) {
			if err := f.fill(part); err != nil {
				return errors.Join(fmt.Errorf("fill in what was accepted: %w", err), l.Close())
			}
			f.filled = part[len(part)-1].n
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove what is filled in: %w", err)
		}
	}
	f.last, f.accepted = f.filled, f.filled
	go f.run()
	return nil
}

// escapeGlob makes of a path a pattern that matches it only.
func escapeGlob(path string) string {
	var b []byte
	for _, c := range []byte(path) {
		if c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(b)
}

// accept commits an entry, and returns when it is durable. ctx bounds the wait for room only.
func (f *front) accept(ctx context.Context, e *entry, record []byte) error {
	if err := f.room(ctx); err != nil {
		return err
	}
	e.size = len(record)
	wait, err := f.enqueue(e, record)
	if err != nil {
		return err
	}
	err = wait()
	f.writing.Lock()
	defer f.writing.Unlock()
	f.inFlight--
	return err
}

// room waits while the tables are too far behind.
func (f *front) room(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.err == nil && ctx.Err() == nil && (f.rows >= behindRows || f.bytes >= behindBytes) {
		f.wait(ctx)
	}
	return errors.Join(f.err, ctx.Err())
}

// wait returns when something has changed, or ctx is done. mu is held, but not meanwhile.
func (f *front) wait(ctx context.Context) {
	changed := f.progress
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

func (f *front) enqueue(e *entry, record []byte) (wait func() error, err error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.log == nil || f.log.Size() >= segmentSize && f.inFlight == 0 {
		if err := f.rotate(); err != nil {
			return nil, err
		}
	}
	f.last++
	f.inFlight++
	e.n = f.last
	binary.BigEndian.PutUint64(record, e.n)
	return f.log.Enqueue(record, true, func() { f.take(e) }), nil
}

// rotate begins a new segment. writing is held, and nothing is in flight.
func (f *front) rotate() error {
	if f.log != nil {
		if err := f.log.Close(); err != nil {
			return err
		}
		f.older = append(f.older, segment{f.path, f.last})
		f.log = nil
	}
	path := fmt.Sprintf("%s%020d", f.prefix, f.last+1)
	l, err := appendlog.Open(path, func([]byte) error { return errors.New("it was written before") })
	if err != nil {
		return err
	}
	f.log, f.path = l, path
	return nil
}

// take puts an entry in line for the tables: it is durable.
func (f *front) take(e *entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, e)
	f.rows, f.bytes = f.rows+e.rows(), f.bytes+e.size
	f.accepted = e.n
	if len(e.told.Returns) > 0 {
		f.newest = time.Now()
	}
	e.minions(func(id fleet.MinionID) { f.about[id] = e.n })
	if e.jobs != nil {
		f.issued[e.jobs.Of.Job.ID] = true
	}
	f.wake()
}

func (f *front) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// catchUp returns when all that was accepted until now is in the tables.
func (f *front) catchUp(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.await(ctx, f.accepted)
}

// catchUpOn is catchUp for the jobs of one minion.
func (f *front) catchUpOn(ctx context.Context, id fleet.MinionID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.await(ctx, f.about[id])
}

// await returns when the record n is in the tables. mu is held.
func (f *front) await(ctx context.Context, n uint64) error {
	for f.filled < n {
		if err := errors.Join(f.err, ctx.Err()); err != nil {
			return err
		}
		f.wanted = max(f.wanted, n)
		f.wake()
		f.wait(ctx)
	}
	return nil
}

// isIssued reports whether a job was accepted and is not in the tables.
func (f *front) isIssued(id fleet.JobID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.issued[id]
}

// run fills the tables until the journal is closed.
func (f *front) run() {
	defer close(f.ended)
	for {
		batch := f.next()
		if batch == nil {
			return
		}
		err := f.fill(batch)
		if err == nil {
			err = f.prune(f.forget(batch))
		}
		f.tell(err)
		if err != nil {
			return
		}
	}
}

// next waits for what to fill in; nil at the end.
func (f *front) next() []*entry {
	for {
		batch, patience := f.due(time.Now())
		if batch != nil || patience == 0 {
			return batch
		}
		select {
		case <-f.kick:
		case <-time.After(patience):
		}
	}
}

// due takes from the queue what is to be filled in now, or tells how long that may wait; 0: nothing comes any more.
func (f *front) due(now time.Time) (batch []*entry, patience time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		if f.closing {
			return nil, 0
		}
		return nil, time.Hour
	}
	urgent := f.closing || f.wanted > f.filled || f.rows <= fillSmall || f.rows >= behindRows/2 || f.bytes >= behindBytes/2
	patience = f.queue[0].at.Add(fillPatience).Sub(now)
	if !f.newest.IsZero() {
		patience = min(patience, f.newest.Add(fillQuiet).Sub(now))
	}
	if !urgent && patience > 0 {
		return nil, patience
	}
	n, rows := 0, 0
	for n < len(f.queue) && (n == 0 || rows+f.queue[n].rows() <= fillRows) {
		rows += f.queue[n].rows()
		n++
	}
	batch, f.queue = f.queue[:n:n], f.queue[n:]
	if len(f.queue) == 0 {
		f.newest = time.Time{}
	}
	return batch, 0
}

// forget takes back what was noted about a batch that is in the tables, and gives the number of its last record.
func (f *front) forget(batch []*entry) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filled = batch[len(batch)-1].n
	for _, e := range batch {
		f.rows, f.bytes = f.rows-e.rows(), f.bytes-e.size
		e.minions(func(id fleet.MinionID) {
			if f.about[id] <= f.filled {
				delete(f.about, id)
			}
		})
		if e.jobs != nil {
			delete(f.issued, e.jobs.Of.Job.ID)
		}
	}
	return f.filled
}

// tell lets those look again who wait for the tables. With an error nothing can be put there any more.
func (f *front) tell(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.err = fmt.Errorf("fill in what was accepted: %w", err)
	}
	close(f.progress)
	f.progress = make(chan struct{})
}

// prune deletes the segments that are in the tables up to the record filled.
func (f *front) prune(filled uint64) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.log != nil && f.inFlight == 0 && f.last == filled && f.log.Size() > segmentKept {
		if err := f.drop(); err != nil {
			return err
		}
	}
	for len(f.older) > 0 && f.older[0].last <= filled {
		if err := os.Remove(f.older[0].path); err != nil {
			return fmt.Errorf("remove what is filled in: %w", err)
		}
		f.older = f.older[1:]
	}
	return nil
}

// drop makes the last segment an older one. writing is held, and nothing is in flight.
func (f *front) drop() error {
	err := f.log.Close()
	f.older = append(f.older, segment{f.path, f.last})
	f.log = nil
	return err
}

// close fills in what was accepted, and ends. Nothing is accepted any more.
func (f *front) close() error {
	f.mu.Lock()
	f.closing = true
	f.wake()
	f.mu.Unlock()
	<-f.ended
	f.mu.Lock()
	filled, err := f.filled, f.err
	f.mu.Unlock()
	f.writing.Lock()
	if f.log != nil {
		err = errors.Join(err, f.drop())
	}
	f.writing.Unlock()
	return errors.Join(err, f.prune(filled))
}
