package process

import (
	"bytes"
	"os"
	"time"
)

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
