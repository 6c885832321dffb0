// Package appendlog is a file that records are appended to durably: what was appended is there after a crash at any
// instant, what was being appended is there whole or not at all. On disk a record is the length of its payload and the
// CRC-32C of length and payload, four bytes each, little-endian, then the payload.
package appendlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// MaxRecord bounds the payload of one record, in bytes.
const MaxRecord = 64 << 20

// ErrRecordSize says that a payload is empty or longer than MaxRecord.
var ErrRecordSize = errors.New("record is empty or too long")

// Log is an open log. Its methods may be called concurrently. Only one Log at a time may have a file open.
type Log struct {
	path    string
	dropped int64

	mu   sync.Mutex
	next *batch // what is written next; guarded by mu

	writing sync.Mutex // held while the file is written
	file    *os.File   // guarded by writing
	torn    bool       // half a record may be behind size; guarded by writing
	size    atomic.Int64
}

// batch is what goes to the disk together: one write and one sync for all that came while the batch before was written.
type batch struct {
	frames []byte
	sync   bool
	apply  []func()
	done   chan struct{}
	err    error // valid after done
}

// Open opens the log at path, or makes it with mode 0600, and calls replay with the payload of each record, in order. A
// payload is valid during the call only. What a crash left half written at the end is cut off; see Dropped. An error of
// replay ends Open.
func Open(path string, replay func(payload []byte) error) (*Log, error) {
	// A crash inside Compact leaves its new file; the old one is still the log.
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove unfinished log: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{path: path, file: file, next: newBatch()}
	if err := l.recover(replay); err != nil {
		return nil, errors.Join(fmt.Errorf("read log %s: %w", path, err), file.Close())
	}
	return l, nil
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (l *Log) recover(replay func([]byte) error) error {
	info, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	end, err := scan(l.file, info.Size(), replay)
	if err != nil {
		return err
	}
	l.size.Store(end)
	if l.dropped = info.Size() - end; l.dropped > 0 {
		if err := l.file.Truncate(end); err != nil {
			return fmt.Errorf("cut torn end: %w", err)
		}
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return syncDir(filepath.Dir(l.path))
}

// Dropped returns how many bytes Open cut off at the end: zero, or the torn rest of a write that a crash interrupted.
func (l *Log) Dropped() int64 { return l.dropped }

// Size returns the size of the file in bytes.
func (l *Log) Size() int64 { return l.size.Load() }

// Append appends a record and returns when it is durable. After an error the record is not in the log.
func (l *Log) Append(payload []byte) error { return l.Enqueue(payload, true, nil)() }

// Enqueue puts a record in line and returns at once; records are written in the order of these calls. The caller must
// call wait, which returns when the record is written and, with durable, safe from a loss of power too: without, only from
// a crash of this process. Apply (may be nil) is called when the record is written, in the order of the records, by any
// goroutine that is inside wait, and must not call the log. After an error the record is not in the log and apply is not
// called. The payload may be reused after Enqueue.
func (l *Log) Enqueue(payload []byte, durable bool, apply func()) (wait func() error) {
	if len(payload) == 0 || len(payload) > MaxRecord {
		return func() error { return ErrRecordSize }
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.next
	first := len(b.frames) == 0
	b.frames = appendFrame(b.frames, payload)
	b.sync = b.sync || durable
	if apply != nil {
		b.apply = append(b.apply, apply)
	}
	if first { // The first of a batch writes it, when the batch before is written.
		return func() error { return l.lead(b) }
	}
	return func() error {
		<-b.done
		return b.err
	}
}

func (l *Log) lead(b *batch) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	l.next = newBatch()
	l.mu.Unlock()
	defer close(b.done)
	if b.err = l.write(b); b.err != nil {
		return b.err
	}
	for _, apply := range b.apply {
		apply()
	}
	return nil
}

func (l *Log) write(b *batch) error {
	if l.file == nil {
		return fmt.Errorf("append to log %s: %w", l.path, os.ErrClosed)
	}
	if err := l.mend(); err != nil {
		return fmt.Errorf("append to log: %w", err)
	}
	_, err := l.file.WriteAt(b.frames, l.Size())
	if err == nil && b.sync {
		err = l.file.Sync()
	}
	if err != nil {
		l.torn = true
		return fmt.Errorf("append to log: %w", errors.Join(err, l.mend()))
	}
	l.size.Add(int64(len(b.frames)))
	return nil
}

// mend cuts off what a failed write left behind: what is appended after it would never be read.
func (l *Log) mend() error {
	if !l.torn {
		return nil
	}
	err := l.file.Truncate(l.Size())
	l.torn = err != nil
	return err
}

// Compact replaces the content of the log, at once and durably, by the payloads that snapshot returns. Snapshot is called
// when nothing is being written: what was applied is what is in the log. After an error the log is as it was.
func (l *Log) Compact(snapshot func() ([][]byte, error)) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return fmt.Errorf("compact log %s: %w", l.path, os.ErrClosed)
	}
	payloads, err := snapshot()
	if err != nil {
		return fmt.Errorf("compact log: %w", err)
	}
	var frames []byte
	for _, p := range payloads {
		if len(p) == 0 || len(p) > MaxRecord {
			return fmt.Errorf("compact log: %w", ErrRecordSize)
		}
		frames = appendFrame(frames, p)
	}
	file, err := replace(l.path, frames)
	if err != nil {
		return fmt.Errorf("compact log: %w", err)
	}
	old := l.file
	l.file, l.torn = file, false
	l.size.Store(int64(len(frames)))
	_ = old.Close() // Nothing of it is needed.
	if err := syncDir(filepath.Dir(l.path)); err != nil {
		return fmt.Errorf("compact log: %w", err)
	}
	return nil
}

// replace puts a new file in place of the one at path and returns it open.
func replace(path string, content []byte) (*os.File, error) {
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = file.Write(content); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path+".new"))
	}
	return file, nil
}

// Close closes the file. Appending after it is an error that wraps os.ErrClosed.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
