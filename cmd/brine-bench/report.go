package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Result is one line of bench/results.json.
type Result struct {
	Bench     string   `json:"bench"`
	Value     float64  `json:"value"`
	Unit      string   `json:"unit"`
	Peer      string   `json:"peer"` // what it is compared to; empty: nothing
	PeerValue *float64 `json:"peer_value"`
	Ratio     *float64 `json:"ratio"` // value / peer_value
	Bar       string   `json:"bar"`   // "<= 2" of the ratio, or of the value where there is no peer; empty: for information
	OK        bool     `json:"ok"`
	Note      string   `json:"note,omitempty"` // how far apart the repetitions were
}

type report struct{ results []Result }

// alone adds a value that is held to a bar itself.
func (r *report) alone(bench string, value float64, unit, bar string) {
	r.add(Result{Bench: bench, Value: value, Unit: unit, Bar: bar, OK: holds(value, bar)})
}

// noted is alone with a note.
func (r *report) noted(bench string, value float64, unit, bar, note string) {
	r.add(Result{Bench: bench, Value: value, Unit: unit, Bar: bar, OK: holds(value, bar), Note: note})
}

// against adds a value whose ratio to a peer's is held to a bar.
func (r *report) against(bench string, value float64, unit, peer string, peerValue float64, bar string) {
	ratio := value / peerValue
	r.add(Result{Bench: bench, Value: value, Unit: unit, Peer: peer, PeerValue: &peerValue, Ratio: &ratio, Bar: bar, OK: holds(ratio, bar)})
}

func (r *report) add(result Result) {
	r.results = append(r.results, result)
	fmt.Println(line(result))
}

func line(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-46s %10s %-10s", r.Bench, number(r.Value), r.Unit)
	if r.Ratio != nil {
		fmt.Fprintf(&b, " %s: %s, ratio %s", r.Peer, number(*r.PeerValue), number(*r.Ratio))
	}
	if r.Note != "" {
		b.WriteString(" " + r.Note)
	}
	if r.Bar != "" {
		verdict := "ok"
		if !r.OK {
			verdict = "FAILS"
		}
		fmt.Fprintf(&b, "  [%s] %s", r.Bar, verdict)
	}
	return b.String()
}

// number shows three digits that count.
func number(v float64) string {
	if v >= 1000 || v <= -1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// holds reports whether v is within a bar, "<= N" or ">= N".
func holds(v float64, bar string) bool {
	op, text, _ := strings.Cut(bar, " ")
	limit, err := strconv.ParseFloat(text, 64)
	switch {
	case bar == "":
		return true
	case err != nil:
		return false
	case op == "<=":
		return v <= limit
	default:
		return v >= limit
	}
}

// finish writes the results and says which bars fail.
func (r *report) finish(path string) error {
	text, err := json.MarshalIndent(r.results, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	var failing []string
	for _, result := range r.results {
		if !result.OK {
			failing = append(failing, result.Bench)
		}
	}
	if len(failing) == 0 {
		fmt.Println("\nall bars hold")
		return nil
	}
	fmt.Printf("\nbars that fail: %s\n", strings.Join(failing, "; "))
	return nil
}

// median of what a measurement gave, which must be something.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
