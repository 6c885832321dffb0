package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sink is where lines go.
type sink struct {
	spec Spec

	mu      sync.Mutex // guards the fields below; two streams may come at once
	log     *os.File
	room    int64  // that the log still has
	tail    []byte // twice what is wanted at most
	dropped int64
}

func newSink(s Spec) (*sink, error) {
	k := &sink{spec: s}
	if s.Log == "" {
		return k, nil
	}
	log, err := os.OpenFile(s.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	info, err := log.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make log: %w", err), log.Close())
	}
	k.log, k.room = log, k.limit()-info.Size()
	return k, nil
}

func (k *sink) limit() int64  { return cmp.Or(k.spec.LogLimit, DefaultLogLimit) }
func (k *sink) tailSize() int { return cmp.Or(k.spec.Tail, DefaultTail) }

// put takes one line.
func (k *sink) put(stream Stream, raw []byte) {
	line := Line{time.Now(), stream, text(raw)}
	k.mu.Lock()
	defer k.mu.Unlock()
	body := line.Text + "\n"
	if k.spec.Split {
		body = "[" + string(stream) + "]" + body
	}
	k.tail = append(k.tail, body...)
	if n := len(k.tail) - 2*k.tailSize() - longestLine; n > 0 {
		k.tail = append(k.tail[:0], k.tail[len(k.tail)-k.tailSize()-3:]...)
	}
	k.write(line.Time, body)
	if k.spec.Output != nil {
		k.spec.Output(line)
	}
}

// write puts a line into the log as long as lines fit. A log that cannot be written, on a full disk for one, has no room.
func (k *sink) write(now time.Time, body string) {
	if k.log == nil {
		return
	}
	if k.spec.Stamp != "" {
		body = now.Format(k.spec.Stamp) + body
	}
	if k.dropped == 0 && int64(len(body)) <= k.room {
		n, err := k.log.WriteString(body)
		k.room -= int64(n)
		if err == nil {
			return
		}
	}
	if k.dropped == 0 {
		k.say("output is left out from here: the log is limited to " + strconv.FormatInt(k.limit(), 10) + " bytes, or the disk is full")
	}
	k.dropped += int64(len(body))
}

// say writes a line of our own.
func (k *sink) say(what string) { _, _ = k.log.WriteString("[brine: " + what + "]\n") }

// finish ends the log with the tail when something was left out.
func (k *sink) finish() (string, int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	end := lastLines(k.tail, k.tailSize())
	if k.log == nil {
		return end, 0
	}
	if k.dropped > 0 {
		k.say(strconv.FormatInt(k.dropped, 10) + " bytes were left out; the last lines")
		_, _ = k.log.WriteString(end + "\n")
	}
	_ = k.log.Close() // the disk may be full: no harm
	return end, k.dropped
}

// lastLines returns the whole lines at the end of b that fit, or the end of the one line that does not.
func lastLines(b []byte, limit int) string {
	b = bytes.TrimRight(b, "\n")
	if len(b) > limit {
		b = b[len(b)-limit-1:] // one more, to see whether a line begins there
		if _, rest, whole := bytes.Cut(b, []byte("\n")); whole {
			b = rest
		} else {
			b = b[1:]
		}
	}
	return strings.ToValidUTF8(string(b), "?")
}

// reader is who reads the outputs that a script's background keeps open, once Run is gone: a small process that belongs to
// nobody and ends with the last writer. It keeps what the log has room for, unless there may be a secret in it.
const reader = `exec 3<&0; ([ "$1" -gt 0 ] && dd bs=512 count="$1" >>"$2" 2>/dev/null; exec cat >/dev/null) <&3 3<&- &`

// leave lets somebody else read on.
func (k *sink) leave(r *os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	room := k.room
	if k.log == nil || len(k.spec.Secrets) > 0 || k.dropped > 0 {
		room = 0
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer null.Close()
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", reader, "sh", strconv.FormatInt(max(0, room/512), 10), k.spec.Log}, &os.ProcAttr{
		Env:   []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		Files: []*os.File{r, null, null},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return // without a shell there are no scripts
	}
	_, _ = p.Wait()
}
