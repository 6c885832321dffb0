// Package freeze tells whether deployments are frozen: from one instant to another, or again and again. It is the only
// home of the cron library.
package freeze

import (
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Window is a freeze that was checked.
type Window struct {
	freeze   fleet.Freeze
	from, to time.Time
	begins   cron.Schedule
	zone     *time.Location
}

// Parse checks a freeze: from and to, or cron and for.
func Parse(f fleet.Freeze) (Window, error) {
	w := Window{freeze: f}
	var err error
	if w.zone, err = time.LoadLocation(f.Zone); err != nil {
		return w, fmt.Errorf("zone: %q is no time zone such as Europe/Amsterdam", f.Zone)
	}
	once, again := f.From != "" || f.To != "", f.Cron != "" || f.For != 0
	switch {
	case once == again:
		return w, errors.New("a freeze has from and to, or cron and for")
	case once:
		return w, w.parseOnce()
	case f.For == 0:
		return w, errors.New("for is missing: how long the freeze lasts, such as 64h")
	}
	if w.begins, err = cron.ParseStandard(f.Cron); err != nil {
		return w, fmt.Errorf("cron: %q is not minute, hour, day, month and weekday, such as \"0 16 * * FRI\": %w", f.Cron, err)
	}
	return w, nil
}

func (w *Window) parseOnce() (err error) {
	if w.from, err = w.instant("from", w.freeze.From); err != nil {
		return err
	}
	if w.to, err = w.instant("to", w.freeze.To); err != nil {
		return err
	}
	if !w.from.Before(w.to) {
		return fmt.Errorf("to %s is not after from %s", w.freeze.To, w.freeze.From)
	}
	return nil
}

func (w *Window) instant(name, text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, text, w.zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is no instant such as 2026-12-20 or 2026-12-20T16:00:00+01:00", name, text)
}

// Reason is the freeze's own, for people.
func (w Window) Reason() string { return w.freeze.Reason }

// Until returns the end of the freeze that is in force; ok is false when none is.
func (w Window) Until(now time.Time) (end time.Time, ok bool) {
	if w.begins == nil {
		return w.to, !now.Before(w.from) && now.Before(w.to)
	}
	lasts := time.Duration(w.freeze.For)
	began := w.begins.Next(now.In(w.zone).Add(-lasts)) // the first one that could still last
	if began.IsZero() || began.After(now) {
		return time.Time{}, false
	}
	return began.Add(lasts), true
}
