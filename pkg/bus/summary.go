package bus

import (
	"log/slog"
	"sync"
	"time"
)

// summaryInterval is the time between two lines of a summary.
const summaryInterval = 10 * time.Second

// summary tells the log of what peers do wrong, in one line per interval, however often they do it: the first time at
// once, and from then on in counts, so that nobody fills the disk from outside.
type summary struct {
	tell func(counts ...any) // writes the line
	mu   sync.Mutex

	counts map[string]int // guarded by mu; not told yet
	last   []any          // guarded by mu; the attributes of the last one
	timer  *time.Timer    // guarded by mu; runs while lines have to wait
	over   bool           // guarded by mu
}

// note counts one more of a kind.
func (s *summary) note(kind string, attrs ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[kind]++
	s.last = attrs
	if s.timer == nil {
		s.flush()
		s.timer = time.AfterFunc(summaryInterval, s.due)
	}
}

// due ends an interval.
func (s *summary) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.counts) == 0 || s.over {
		s.timer = nil
		return
	}
	s.flush()
	s.timer.Reset(summaryInterval)
}

// stop tells what has not been told, and nothing from then on.
func (s *summary) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if len(s.counts) > 0 {
		s.flush()
	}
}

// flush writes a line. mu is held.
func (s *summary) flush() {
	attrs := make([]any, 0, len(s.counts)+len(s.last))
	for kind, n := range s.counts {
		attrs = append(attrs, slog.Int(kind, n))
	}
	s.tell(append(attrs, s.last...)...)
	clear(s.counts)
}
