package process

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// redacted is in the place of a secret, as fleet.Secret prints itself.
const redacted = "**redacted**"

// What counts as a secret, in bytes. A shorter line of a long one is too common.
const (
	shortestSecret = 4
	shortestLine   = 8
)

// redactor takes secrets out of a stream. It holds back what may be the beginning of one: less than the longest has.
type redactor struct {
	secrets [][]byte
	held    []byte
	covered int // bytes at the beginning of held that belong to a secret for which its sign has been given
}

// newRedactor takes the values, and the lines of those that have several: they are printed line by line.
func newRedactor(secrets []string) *redactor {
	r := &redactor{}
	for _, s := range secrets {
		s = strings.TrimRight(s, "\r\n")
		if len(s) >= shortestSecret {
			r.secrets = append(r.secrets, []byte(s))
		}
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= shortestLine && line != s {
				r.secrets = append(r.secrets, []byte(line))
			}
		}
	}
	return r
}

// span is a part of held, [from, to).
type span struct{ from, to int }

// write returns what can be said of p and of what was held.
func (r *redactor) write(p []byte) []byte {
	if len(r.secrets) == 0 {
		return p
	}
	r.held = append(r.held, p...)
	return r.release(r.doubtful())
}

// flush returns what was held.
func (r *redactor) flush() []byte { return r.release(len(r.held)) }

// release gives what is before end, and remembers a secret that goes on behind it.
func (r *redactor) release(end int) []byte {
	var out []byte
	at := 0
	for i, s := range r.found(end) {
		out = append(out, r.held[at:s.from]...)
		if i > 0 || r.covered == 0 {
			out = append(out, redacted...)
		}
		at = s.to
	}
	r.covered = max(0, at-end)
	if at < end {
		out = append(out, r.held[at:end]...)
	}
	r.held = append(r.held[:0], r.held[end:]...)
	return out
}

// found lists where secrets that begin before end are, in order; those that overlap are one.
func (r *redactor) found(end int) []span {
	var all []span
	if r.covered > 0 {
		all = append(all, span{0, r.covered})
	}
	for _, secret := range r.secrets {
		for from := 0; from < end; from++ {
			i := bytes.Index(r.held[from:], secret)
			if i < 0 || from+i >= end {
				break
			}
			from += i
			all = append(all, span{from, from + len(secret)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && s.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// doubtful returns where the first bytes begin that may be the beginning of a secret.
func (r *redactor) doubtful() int {
	at := len(r.held)
	for _, secret := range r.secrets {
		for n := min(len(secret)-1, len(r.held)); n > 0; n-- {
			if bytes.HasSuffix(r.held, secret[:n]) {
				at = min(at, len(r.held)-n)
				break
			}
		}
	}
	return at
}
