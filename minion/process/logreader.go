package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// ReadLog reads the whole lines of a log from an offset on, some limit of bytes of them, and gives the offset to go on with.
// When more than limit wait it leaves the older ones out, and left says how many bytes. stamp is Spec.Stamp.
func ReadLog(name string, from int64, stamp string, limit int) (lines []Line, next, left int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, from, 0, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, from, 0, fmt.Errorf("read log: %w", err)
	}
	if left = max(0, info.Size()-from-int64(limit)); left > 0 {
		from += left
	}
	buf := make([]byte, min(int64(limit), max(0, info.Size()-from)))
	n, err := f.ReadAt(buf, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, from, left, fmt.Errorf("read log: %w", err)
	}
	if left > 0 { // the rest of a line
		skip := bytes.IndexByte(buf[:n], '\n') + 1
		from, left, buf, n = from+int64(skip), left+int64(skip), buf[skip:], n-skip
	}
	l := &logReader{spec: Spec{Stamp: stamp, Output: func(line Line) { lines = append(lines, line) }}}
	l.lines(buf[:n])
	return lines, from + int64(n-len(l.part)), left, nil
}

// logReader gives the lines that come into a log to Spec.Output.
type logReader struct {
	name string
	at   int64
	spec Spec
	part []byte
}

// readAtOnce bounds what one look at the log gives, in bytes; the rest comes with the next.
const readAtOnce = 1 << 20

func (l *logReader) read() {
	if l.spec.Output == nil || l.name == "" {
		return
	}
	f, err := os.Open(l.name)
	if err != nil {
		return
	}
	defer f.Close()
	buf := make([]byte, 32<<10)
	for got := 0; got < readAtOnce; {
		n, err := f.ReadAt(buf, l.at)
		l.at += int64(n)
		got += n
		l.lines(buf[:n])
		if err != nil {
			return // usually its end, for now
		}
	}
}

func (l *logReader) lines(b []byte) {
	l.part = append(l.part, b...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			return
		}
		l.part = rest
		l.spec.Output(l.parse(line))
	}
}

// parse takes off what the sink put before the line.
func (l *logReader) parse(line []byte) Line {
	out := Line{Time: time.Now(), Stream: Stdout}
	if n := len(l.spec.Stamp); n > 0 && len(line) >= n {
		if at, err := time.ParseInLocation(l.spec.Stamp, string(line[:n]), time.Local); err == nil {
			out.Time, line = at, line[n:]
		}
	}
	if l.spec.Split {
		if rest, ok := bytes.CutPrefix(line, []byte("[stderr]")); ok {
			out.Stream, line = Stderr, rest
		} else {
			line = bytes.TrimPrefix(line, []byte("[stdout]"))
		}
	}
	out.Text = text(line)
	return out
}
