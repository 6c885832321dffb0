// Package spool keeps a minion's returns on disk until the master has acknowledged them.
package spool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/brine-deploy/brine/pkg/appendlog"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// DefaultLimit is the limit of a spool that is opened with none, in bytes.
const DefaultLimit = 64 << 20

// slack is what the file may hold beyond twice what is pending before it is written anew, in bytes.
const slack = 1 << 20

// Entry is one return that waits for the master. RSeq numbers the returns of this minion: from 1, rising over restarts,
// with gaps, never used twice.
type Entry struct {
	RSeq   uint64
	Return fleet.Return
}

// Spool is an open spool. Its methods may be called concurrently. One process at a time may have a spool open.
type Spool struct {
	log     *appendlog.Log
	limit   int64
	changed chan struct{}

	mu      sync.Mutex // guards the fields below
	next    uint64     // the number of the next return
	pending []pending  // by number
	size    int64      // of what is pending
	dropped uint64
}

// pending is one return, encoded.
type pending struct {
	rseq uint64
	last bool
	ret  json.RawMessage
}

// record is one record of the log: a return, an acknowledgement, or the number that comes next.
type record struct {
	RSeq   uint64          `json:"rseq,omitempty"`
	Last   bool            `json:"last,omitempty"`
	Return json.RawMessage `json:"return,omitempty"`
	Ack    uint64          `json:"ack,omitempty"`
	Next   uint64          `json:"next,omitempty"`
}

// Open opens the spool in dir, and makes dir with mode 0700 if there is none. The limit is that of the pending returns, in
// bytes as they are encoded; DefaultLimit when zero. Beyond it parts that are not the last of their job are dropped, the
// oldest first; last parts are always kept. The file grows to little more than twice what is pending.
func Open(dir string, limit int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &Spool{limit: cmp.Or(limit, DefaultLimit), changed: make(chan struct{}, 1), next: 1}
	log, err := appendlog.Open(filepath.Join(dir, "spool.log"), s.replay)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s.log, s.dropped = log, 0
	return s, nil
}

func (s *Spool) replay(payload []byte) error {
	var r record
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("decode record: %w", err)
	}
	s.next = max(s.next, r.Next, r.RSeq+1)
	if r.RSeq > 0 {
		s.insert(pending{r.RSeq, r.Last, r.Return})
	}
	s.forget(r.Ack)
	return nil
}

// Add writes a return down. When it returns without an error, the return is safe from a crash and a loss of power, and
// Pending gives it until it is acknowledged. Calls at the same time share one write to the disk.
func (s *Spool) Add(ret fleet.Return) (rseq uint64, err error) {
	encoded, err := json.Marshal(ret)
	if err != nil {
		return 0, fmt.Errorf("encode return: %w", err)
	}
	rseq, wait, err := s.enqueue(encoded, ret.Last)
	if err == nil {
		err = wait()
	}
	if err != nil {
		return 0, fmt.Errorf("spool return of job %s: %w", ret.Job, err)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	_ = s.tidy() // The return is safe; a file that could not be made smaller now is made smaller later.
	return rseq, nil
}

// enqueue gives the return its number and its place in the log, which are in the same order.
func (s *Spool) enqueue(encoded []byte, last bool) (rseq uint64, wait func() error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rseq = s.next
	payload, err := json.Marshal(record{RSeq: rseq, Last: last, Return: encoded})
	if err != nil {
		return 0, nil, fmt.Errorf("encode record: %w", err)
	}
	s.next++
	wait = s.log.Enqueue(payload, true, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.insert(pending{rseq, last, encoded})
	})
	return rseq, wait, nil
}

// insert adds what is on disk now, and drops progress while there is too much.
func (s *Spool) insert(p pending) {
	s.pending = append(s.pending, p)
	s.size += int64(len(p.ret))
	for s.size > s.limit {
		i := slices.IndexFunc(s.pending, func(p pending) bool { return !p.last })
		if i < 0 {
			return
		}
		s.size -= int64(len(s.pending[i].ret))
		s.pending = slices.Delete(s.pending, i, i+1)
		s.dropped++
	}
}

// forget removes what is acknowledged.
func (s *Spool) forget(rseq uint64) {
	n := 0
	for n < len(s.pending) && s.pending[n].rseq <= rseq {
		s.size -= int64(len(s.pending[n].ret))
		n++
	}
	s.pending = slices.Delete(s.pending, 0, n)
}

// readAtOnce is how much Pending gives with a limit, in bytes, and one return more.
const readAtOnce = 4 << 20

// Pending returns, in order, at most limit of the returns that wait and have a number above after, fewer when they are
// large; all when limit is zero.
func (s *Spool) Pending(after uint64, limit int) ([]Entry, error) {
	s.mu.Lock()
	from, found := slices.BinarySearchFunc(s.pending, after, func(p pending, rseq uint64) int { return cmp.Compare(p.rseq, rseq) })
	if found {
		from++
	}
	rest := s.pending[from:]
	if limit > 0 {
		rest = rest[:few(rest, limit)]
	}
	rest = slices.Clone(rest)
	s.mu.Unlock()

	entries := make([]Entry, len(rest))
	for i, p := range rest {
		entries[i].RSeq = p.rseq
		if err := json.Unmarshal(p.ret, &entries[i].Return); err != nil {
			return nil, fmt.Errorf("decode return %d: %w", p.rseq, err)
		}
	}
	return entries, nil
}

// few is how many of the returns are given at once.
func few(rest []pending, limit int) int {
	n := 0
	for size := 0; n < min(limit, len(rest)) && size < readAtOnce; n++ {
		size += len(rest[n].ret)
	}
	return n
}

// Ack deletes all returns up to and with that number. They are gone for this process in any case. After an error, and after
// a loss of power, some may be pending again when the spool is opened next: then the master gets them twice.
func (s *Spool) Ack(rseq uint64) error {
	s.mu.Lock()
	if len(s.pending) == 0 || s.pending[0].rseq > rseq {
		s.mu.Unlock()
		return nil
	}
	rseq = min(rseq, s.pending[len(s.pending)-1].rseq) // Never one that is still to come.
	s.forget(rseq)
	payload, err := json.Marshal(record{Ack: rseq})
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("encode record: %w", err)
	}
	wait := s.log.Enqueue(payload, false, nil)
	s.mu.Unlock()
	if err := errors.Join(wait(), s.tidy()); err != nil {
		return fmt.Errorf("acknowledge return %d: %w", rseq, err)
	}
	return nil
}

// tidy writes the log anew when most of it is not needed any more.
func (s *Spool) tidy() error {
	s.mu.Lock()
	size := s.size
	s.mu.Unlock()
	if s.log.Size() <= 2*size+slack {
		return nil
	}
	return s.log.Compact(s.snapshot)
}

func (s *Spool) snapshot() ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := []record{{Next: s.next}}
	for _, p := range s.pending {
		records = append(records, record{RSeq: p.rseq, Last: p.last, Return: p.ret})
	}
	payloads := make([][]byte, len(records))
	for i, r := range records {
		var err error
		if payloads[i], err = json.Marshal(r); err != nil {
			return nil, fmt.Errorf("encode record: %w", err)
		}
	}
	return payloads, nil
}

// Changed gets a value after returns were added: one value for any number of them, for one reader.
func (s *Spool) Changed() <-chan struct{} { return s.changed }

// Dropped returns how many parts were dropped since Open because the spool was full.
func (s *Spool) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Len returns how many returns wait.
func (s *Spool) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// Torn returns how many bytes Open found half written at the end of the file and cut off: what was being added when the
// process died. A large number tells of a damaged disk.
func (s *Spool) Torn() int64 { return s.log.Dropped() }

// Close closes the file. Adding after it is an error.
func (s *Spool) Close() error { return s.log.Close() }
