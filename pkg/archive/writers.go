package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
)

const (
	parallel  = 4         // files that are made at once
	smallFile = 128 << 10 // a larger one is written while it is read
	readAhead = 16        // small files in memory
)

// writers make files, many small ones at once: most of the work of one is the file system's.
type writers struct {
	root   *os.Root
	jobs   chan job
	free   chan []byte // buffers that nobody uses
	alive  sync.WaitGroup
	unmade sync.WaitGroup
	buffer []byte // of large files

	mu    sync.Mutex
	first error // guarded by mu
}

type job struct {
	entry
	content []byte
}

func startWriters(root *os.Root) *writers {
	w := &writers{root: root, jobs: make(chan job), free: make(chan []byte, readAhead), buffer: make([]byte, smallFile)}
	for range readAhead {
		w.free <- nil // made when it is needed
	}
	for range parallel {
		w.alive.Go(func() {
			at := &place{root: w.root}
			defer at.close()
			for j := range w.jobs {
				w.fail(at.make(j.entry, func(f io.Writer) error {
					_, err := f.Write(j.content)
					return err
				}))
				w.free <- j.content
				w.unmade.Done()
			}
		})
	}
	return w
}

// readError is an error of the content's reader.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// write takes over a file whose directory is there. The error may be that of an earlier file.
func (w *writers) write(e entry, content io.Reader) error {
	if err := w.failure(); err != nil {
		return err
	}
	if e.size > smallFile {
		at := &place{root: w.root}
		defer at.close()
		return at.make(e, func(f io.Writer) error {
			in := &remembering{r: content}
			_, err := io.CopyBuffer(struct{ io.Writer }{f}, in, w.buffer) // the struct hides ReadFrom, which makes a buffer per file
			if in.err != nil {
				return &readError{in.err}
			}
			return err
		})
	}
	buffer := <-w.free
	if int64(cap(buffer)) < e.size {
		buffer = make([]byte, e.size, roomFor(e.size))
	}
	buffer = buffer[:e.size]
	if _, err := io.ReadFull(content, buffer); err != nil {
		w.free <- buffer
		return &readError{err}
	}
	w.unmade.Add(1)
	w.jobs <- job{e, buffer}
	return nil
}

// roomFor rounds up, so that a buffer serves many files.
func roomFor(size int64) int64 {
	room := int64(16 << 10)
	for room < size {
		room *= 2
	}
	return room
}

// flush waits for the files so far.
func (w *writers) flush() error {
	w.unmade.Wait()
	return w.failure()
}

// close waits for the files and ends the goroutines.
func (w *writers) close() error {
	close(w.jobs)
	w.alive.Wait()
	return w.failure()
}

func (w *writers) fail(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		w.first = err
	}
}

func (w *writers) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first
}

// place keeps the directory of the last file open: the next one usually lies there too.
type place struct {
	root *os.Root
	name string
	dir  *os.Root
}

func (p *place) close() {
	if p.dir != nil {
		_ = p.dir.Close() // only looked at
	}
}

// make makes one file.
func (p *place) make(e entry, fill func(io.Writer) error) error {
	if err := p.makeFile(e, fill); err != nil {
		if _, read := errors.AsType[*readError](err); read {
			return err
		}
		return fmt.Errorf("unpack entry %q: %w", e.name, err)
	}
	return nil
}

func (p *place) makeFile(e entry, fill func(io.Writer) error) error {
	dir, base := path.Split(e.name)
	if p.dir == nil || p.name != dir {
		p.close()
		var err error
		if p.dir, err = p.root.OpenRoot(path.Clean(dir)); err != nil {
			p.dir = nil
			return err
		}
		p.name = dir
	}
	f, err := p.dir.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, e.mode.Perm())
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		_ = f.Close() // the first error is the one to tell
		return err
	}
	if e.uid >= 0 {
		err = f.Chown(e.uid, e.gid)
	}
	err = errors.Join(err, giveMode(f, e), f.Close()) // after the owner, who would take setuid away
	if !e.mtime.IsZero() {
		err = errors.Join(err, p.dir.Chtimes(base, e.mtime, e.mtime))
	}
	return err
}

// giveMode sets the mode, of which the umask has taken something; special bits cannot be had from the start.
func giveMode(f *os.File, e entry) error {
	mode := e.mode
	if e.umask && mode == mode.Perm() {
		return nil
	}
	if e.umask {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		mode = info.Mode().Perm() | mode&^fs.ModePerm
	}
	return f.Chmod(mode)
}
