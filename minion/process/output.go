package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// longestLine is where a line is cut in pieces, in bytes.
const longestLine = 16 << 10

// output takes what a script writes.
type output struct {
	pipes []*pipe // one, or one for each stream
	sink  *sink
	wg    sync.WaitGroup
}

// newOutput makes the pipes and opens the log.
func newOutput(s Spec) (*output, error) {
	sink, err := newSink(s)
	if err != nil {
		return nil, err
	}
	o := &output{sink: sink}
	streams := []Stream{Stdout}
	if s.Split {
		streams = append(streams, Stderr)
	}
	for _, stream := range streams {
		p, err := newPipe(stream, s, sink)
		if err != nil {
			o.abort()
			return nil, err
		}
		o.pipes = append(o.pipes, p)
	}
	return o, nil
}

func (o *output) stdout() *os.File { return o.pipes[0].w }
func (o *output) stderr() *os.File { return o.pipes[len(o.pipes)-1].w }

// follow starts to read. The script has its own descriptors by now.
func (o *output) follow() {
	for _, p := range o.pipes {
		_ = p.w.Close()
		o.wg.Go(p.follow)
	}
}

// settle reads on after the script's end, for so long at most when something keeps the outputs open, and reports whether
// something does. That is left with somebody who reads on.
func (o *output) settle(limit time.Duration) (open bool) {
	for _, p := range o.pipes {
		_ = p.r.SetReadDeadline(time.Now().Add(limit))
	}
	o.wg.Wait()
	for _, p := range o.pipes {
		if p.drain() {
			open = true
			o.sink.leave(p.r)
		}
		_ = p.r.Close()
	}
	return open
}

// finish ends the log, and returns the tail and what was dropped.
func (o *output) finish() (string, int64) {
	for _, p := range o.pipes {
		p.end()
	}
	return o.sink.finish()
}

// abort is for a script that did not start.
func (o *output) abort() {
	for _, p := range o.pipes {
		_ = errors.Join(p.r.Close(), p.w.Close())
	}
	o.sink.finish()
}

// pipe is one stream on its way to the sink.
type pipe struct {
	stream Stream
	r, w   *os.File
	redact *redactor
	line   []byte // the beginning of a line
	sink   *sink
	eof    bool
}

// newPipe makes a pipe that belongs to the script's user, so that it can open /dev/stderr.
func newPipe(stream Stream, s Spec, sink *sink) (*pipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	if c := s.User.Credential; c != nil {
		if err := w.Chown(int(c.Uid), int(c.Gid)); err != nil {
			return nil, errors.Join(fmt.Errorf("make pipe: %w", err), r.Close(), w.Close())
		}
	}
	return &pipe{stream: stream, r: r, w: w, redact: newRedactor(s.Secrets), sink: sink}, nil
}

func (p *pipe) follow() {
	buf := make([]byte, 32<<10)
	for {
		n, err := p.r.Read(buf)
		p.take(buf[:n])
		if err != nil {
			p.eof = errors.Is(err, io.EOF)
			return
		}
	}
}

// drain takes what is in the pipe already: at most what it holds, for whoever still writes may never stop. It reports
// whether somebody may.
func (p *pipe) drain() (open bool) {
	_ = p.r.SetReadDeadline(time.Time{})
	raw, err := p.r.SyscallConn()
	if p.eof || err != nil {
		return false
	}
	buf := make([]byte, 32<<10)
	open = true
	_ = raw.Read(func(fd uintptr) bool {
		capacity, _ := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		for left := max(capacity, 64<<10); left > 0; {
			n, err := syscall.Read(int(fd), buf)
			if n <= 0 {
				open = err != nil
				return true
			}
			p.take(buf[:n])
			left -= n
		}
		return true
	})
	return open
}

// take brings bytes on their way.
func (p *pipe) take(b []byte) { p.split(p.redact.write(b)) }

func (p *pipe) end() {
	p.split(p.redact.flush())
	if len(p.line) > 0 {
		p.sink.put(p.stream, p.line)
	}
}

// split gives whole lines to the sink, and pieces of those that are too long.
func (p *pipe) split(b []byte) {
	for len(b) > 0 {
		n := min(len(b), longestLine-len(p.line))
		i := bytes.IndexByte(b[:n], '\n')
		if i >= 0 {
			n = i
		}
		p.line = append(p.line, b[:n]...)
		b = b[n:]
		if i >= 0 {
			b = b[1:]
		}
		if i >= 0 || len(p.line) == longestLine {
			p.sink.put(p.stream, p.line)
			p.line = p.line[:0]
		}
	}
}

// text is what people see of a line.
func text(line []byte) string {
	return strings.TrimSuffix(strings.ToValidUTF8(string(line), "?"), "\r")
}
