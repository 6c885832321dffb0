package build

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// lineWriter hands over output by lines, and keeps its end.
type lineWriter struct {
	emit func(string)
	last []string
	size int // bytes of last, with line ends
}

// maxLine is where a line is broken: a program that never ends one must not fill the memory.
const maxLine = 4 << 10

// readFrom takes lines until r ends. Bytes that are no UTF-8 are replaced.
func (l *lineWriter) readFrom(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		b, err := lines.ReadSlice('\n')
		if len(b) > 0 {
			l.line(string(b))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return // the end of the pipe; what became of the program, its exit says
		}
	}
}

func (l *lineWriter) line(text string) {
	text = strings.TrimRight(strings.ToValidUTF8(text, "\uFFFD"), "\r\n")
	text = text[strings.LastIndexByte(text, '\r')+1:] // what a terminal shows of a progress bar
	if l.emit != nil {
		l.emit(text)
	}
	l.last = append(l.last, text)
	l.size += len(text) + 1
	for l.size > fleet.TailBytes {
		l.size -= len(l.last[0]) + 1
		l.last = l.last[1:]
	}
}

func (l *lineWriter) tail() string { return strings.Join(l.last, "\n") }
