package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

type skip struct {
	test   string // package and test; empty: a note
	reason string
}

type summary struct {
	out      io.Writer
	passed   int
	failed   int
	packages int
	skips    []skip
	output   map[string][]event          // of each package that runs
	bad      map[string]bool             // packages with a failed test
	build    map[string]*strings.Builder // by import path
}

func (s *summary) read(r io.Reader) error {
	s.output, s.bad, s.build = map[string][]event{}, map[string]bool{}, map[string]*strings.Builder{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func (s *summary) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(s.out, "%s", line) // of go itself
		return
	}
	switch e.Action {
	case "build-output":
		if s.build[e.ImportPath] == nil {
			s.build[e.ImportPath] = new(strings.Builder)
		}
		s.build[e.ImportPath].WriteString(e.Output)
	case "output":
		s.output[e.Package] = append(s.output[e.Package], e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.packageEnded(e)
		} else {
			s.testEnded(e)
		}
	}
}

func (s *summary) testEnded(e event) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		s.bad[e.Package] = true
	case "skip":
		s.skips = append(s.skips, skip{test: shortPackage(e.Package) + "." + e.Test, reason: s.reason(e)})
	}
}

func (s *summary) packageEnded(e event) {
	s.packages++
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok    %-50s %6.1fs\n", shortPackage(e.Package), e.Elapsed)
	case "fail":
		s.packageFailed(e)
	}
	delete(s.output, e.Package)
}

func (s *summary) packageFailed(e event) {
	fmt.Fprintf(s.out, "FAIL  %-50s %6.1fs\n", shortPackage(e.Package), e.Elapsed)
	if text := s.build[e.FailedBuild]; text != nil {
		fmt.Fprint(s.out, text)
	}
	for _, o := range s.output[e.Package] {
		if !chatter.MatchString(o.Output) {
			fmt.Fprint(s.out, o.Output)
		}
	}
	if !s.bad[e.Package] { // it did not build, or ended before or after its tests: nothing of it is counted yet
		s.failed++
	}
}

// chatter is what go test says of tests that did nothing remarkable.
var chatter = regexp.MustCompile(`^(=== (RUN|PAUSE|CONT|NAME) |\s*--- PASS: )`)

var sourcePlace = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason finds what the test said when it skipped itself.
func (s *summary) reason(e event) string {
	var reason []string
	for _, o := range s.output[e.Package] {
		if o.Test == e.Test && sourcePlace.MatchString(o.Output) {
			reason = append(reason, strings.TrimSpace(sourcePlace.ReplaceAllString(o.Output, "")))
		}
	}
	if len(reason) == 0 {
		return "no reason was given"
	}
	return reason[len(reason)-1]
}

var debianPackages = regexp.MustCompile(`Debian packages? ([^)]+)`)

// end prints what was skipped and the counts, and says whether all is well.
func (s *summary) end(ci bool) bool {
	tests, packages := map[string][]string{}, map[string]bool{}
	for _, k := range s.skips {
		tests[k.reason] = append(tests[k.reason], k.test)
		if m := debianPackages.FindStringSubmatch(k.reason); m != nil {
			for _, p := range strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
				packages[p] = true
			}
		}
	}
	if len(tests) > 0 {
		fmt.Fprintln(s.out, "\nSkipped here:")
	}
	for _, reason := range slices.Sorted(maps.Keys(tests)) {
		fmt.Fprintf(s.out, "  %s\n", reason)
		for _, test := range tests[reason] {
			if test != "" {
				fmt.Fprintf(s.out, "      %s\n", test)
			}
		}
	}
	if len(packages) > 0 {
		fmt.Fprintf(s.out, "make deps brings it; of Debian: apt-get install %s\n", strings.Join(slices.Sorted(maps.Keys(packages)), " "))
	}
	ok := s.failed == 0 && s.packages > 0
	if s.packages == 0 {
		fmt.Fprintln(s.out, "no package was tested")
	}
	if ci && len(s.skips) > 0 {
		ok = false
		fmt.Fprintln(s.out, "CI is true: what is skipped has failed")
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, len(s.skips))
	return ok
}

func shortPackage(path string) string {
	return strings.TrimPrefix(path, "github.com/brine-deploy/brine/")
}
