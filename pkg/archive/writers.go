package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	parallel  = 2         // files that are made at once
	smallFile = 128 << 10 // a larger one is written while it is read
	readAhead = 64        // small files in memory
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
	w := &writers{root: root, jobs: make(chan job, readAhead), free: make(chan []byte, readAhead), buffer: make([]byte, smallFile)}
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
			_, err := io.CopyBuffer(f, struct{ io.Reader }{in}, w.buffer) // the struct hides a WriteTo, which would make its own buffer
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

// place keeps the directory of the last file open: the next one usually lies there too. It is found through the root; a file
// in it is made anew by its last name alone, so that no link is followed.
type place struct {
	root *os.Root
	name string
	dir  *os.File
}

func (p *place) close() {
	if p.dir != nil {
		_ = p.dir.Close() // only looked at
		p.dir = nil
	}
}

func (p *place) enter(dir string) (err error) {
	if p.dir != nil && p.name == dir {
		return nil
	}
	p.close()
	p.name = dir
	p.dir, err = p.root.Open(path.Clean(dir))
	return err
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

// makeFile spares what an os.File costs: half of the time of a small file.
func (p *place) makeFile(e entry, fill func(io.Writer) error) error {
	dir, base := path.Split(e.name)
	if err := p.enter(dir); err != nil {
		return err
	}
	at := int(p.dir.Fd())
	var f descriptor
	err := patiently(func() error {
		fd, err := unix.Openat(at, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(e.mode.Perm()))
		f = descriptor(fd)
		return err
	})
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.dress(e)
	}
	if closed := unix.Close(int(f)); err == nil {
		err = closed
	}
	if err != nil || e.mtime.IsZero() {
		return err
	}
	mtime := unix.NsecToTimespec(e.mtime.UnixNano())
	return unix.UtimesNanoAt(at, base, []unix.Timespec{mtime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
}

// descriptor is an open file.
type descriptor int

func (d descriptor) Write(b []byte) (done int, err error) {
	for done < len(b) && err == nil {
		err = patiently(func() error {
			n, err := unix.Write(int(d), b[done:])
			done += max(n, 0)
			return err
		})
	}
	return done, err
}

// dress gives the owner and then the mode: of that the umask has taken something, and a new owner takes setuid away.
func (d descriptor) dress(e entry) error {
	if e.uid >= 0 {
		if err := unix.Fchown(int(d), e.uid, e.gid); err != nil {
			return err
		}
	}
	mode := modeBits(e.mode)
	if e.umask {
		if e.mode == e.mode.Perm() {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(d), &st); err != nil {
			return err
		}
		mode = mode&^0o777 | st.Mode&0o777
	}
	return unix.Fchmod(int(d), mode)
}

// modeBits gives a mode as the kernel has it.
func modeBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

// patiently calls again what a signal interrupted.
func patiently(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
