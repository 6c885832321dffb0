package run

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/state"
)

// retry says how often a state is tried.
type retry struct {
	until           state.Verdict
	attempts        int64
	interval, splay int64 // seconds
}

// readRetry reads a retry argument; what it does not say is as in Salt.
func readRetry(v any) retry {
	r := retry{until: state.True, attempts: 2, interval: 30}
	m, _ := v.(*data.Map)
	if until, ok := m.Get("until"); ok && until == false {
		r.until = state.False
	}
	for key, into := range map[string]*int64{"attempts": &r.attempts, "interval": &r.interval, "splay": &r.splay} {
		if n, ok := m.Get(key); ok {
			if number, isInt := n.(int64); isInt {
				*into = number
			}
		}
	}
	return r
}

// again reports whether a state is tried again after its n-th attempt.
func (r retry) again(n int, got state.Verdict) bool { return got != r.until && int64(n) < r.attempts }

// wait waits between two attempts; it is false when the context ended.
func (r retry) wait(ctx context.Context) bool {
	pause := time.Duration(r.interval) * time.Second
	if r.splay > 0 {
		pause += time.Duration(rand.Int64N(r.splay+1)) * time.Second
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// String says what would be done.
func (r retry) String() string {
	until := "False"
	if r.until == state.True {
		until = "True"
	}
	return fmt.Sprintf("The state would be retried every %d seconds (with a splay of up to %d seconds) a maximum of %d times or until a result of %s is returned",
		r.interval, r.splay, r.attempts, until)
}
