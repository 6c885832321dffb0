// Package quiet tells the log of what others can make happen as often as they like, without letting them fill the disk.
package quiet

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Interval is the least time between two lines of a Summary.
const Interval = 10 * time.Second

// Summary writes one line per Interval, however often something happens: the first time at once, and from then on in
// counts. Its methods may be called at the same time.
type Summary struct {
	tell func(counts ...any)
	mu   sync.Mutex

	counts map[string]int // guarded by mu; not told yet
	last   []any          // guarded by mu; the attributes of the last one
	timer  *time.Timer    // guarded by mu; runs while lines have to wait
	over   bool           // guarded by mu
}

// New makes a Summary. tell writes its line: the attributes are the counts by kind, and those of the last Note. It is
// called one at a time and must not use the Summary.
func New(tell func(counts ...any)) *Summary {
	return &Summary{tell: tell, counts: map[string]int{}}
}

// Note counts one more of a kind. attrs, names and values by turns, say more about this one.
func (s *Summary) Note(kind string, attrs ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.counts[kind]++
	s.last = attrs
	if s.timer == nil {
		s.flush()
		s.timer = time.AfterFunc(Interval, s.due)
	}
}

// due ends an interval.
func (s *Summary) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.counts) == 0 || s.over {
		s.timer = nil
		return
	}
	s.flush()
	s.timer.Reset(Interval)
}

// Stop tells what has not been told, and nothing from then on.
func (s *Summary) Stop() {
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
func (s *Summary) flush() {
	attrs := make([]any, 0, len(s.counts)+len(s.last))
	for _, kind := range slices.Sorted(maps.Keys(s.counts)) {
		attrs = append(attrs, slog.Int(kind, s.counts[kind]))
	}
	s.tell(append(attrs, s.last...)...)
	clear(s.counts)
}
