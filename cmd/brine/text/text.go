// Package text writes values the way people read them: durations, times, sizes, tables, nested values. All of it is
// pure: whoever calls brings the time and the writer.
package text

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Duration writes d with two figures that matter: 0.4s, 12.3s, 1m05s, 2h03m, 3d4h.
func Duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute-50*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// Ago says how long before now t was: "5m ago"; "never" for the zero time.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	default:
		return Duration(d) + " ago"
	}
}

// Clock is the local time of day.
func Clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }

// Stamp is the local date and time; "-" for the zero time.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// Size writes a number of bytes: 812 B, 3.4 MiB.
func Size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, exponent := float64(n)/unit, 0
	for value >= unit && exponent < 4 {
		value /= unit
		exponent++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[exponent])
}

// Count writes a number with its noun: "1 minion", "3 minions".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// escape matches the sequences that steer a terminal: CSI, OSC and the short ones.
var escape = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])`)

// Clean takes out of a remote host's text all that could steer the terminal. Tabs and line ends stay.
func Clean(s string) string {
	s = escape.ReplaceAllString(strings.ReplaceAll(s, "\r\n", "\n"), "")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return -1
		}
		return r
	}, s)
}

// Lines cleans s and cuts it into lines, without the empty ones at the end.
func Lines(s string) []string {
	s = strings.TrimRight(Clean(s), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// Line cleans s and makes one line of it.
func Line(s string) string { return strings.Join(strings.Fields(Clean(s)), " ") }
