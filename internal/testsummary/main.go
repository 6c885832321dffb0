// Command testsummary runs go test -json and shows what a person wants to see of it: a line for each package that passed,
// the whole output of those that failed, and at the end what was skipped and what would bring it.
//
//	testsummary [-note TEXT]... -- go test -json ./...
//
// It exits with 1 when something failed. When the environment variable CI is "true", a skip is a failure.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, os.Getenv("CI") == "true"))
}

func run(args []string, stdout, stderr io.Writer, ci bool) int {
	flags := flag.NewFlagSet("testsummary", flag.ContinueOnError)
	flags.SetOutput(stderr)
	s := summary{out: stdout}
	flags.Func("note", "something that was skipped before the tests began", func(text string) error {
		s.skips = append(s.skips, skip{reason: text})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(stderr, "testsummary: no command; see go doc ./internal/testsummary")
		return 2
	}
	err := feed(&s, stderr, flags.Args())
	if err != nil && s.failed == 0 {
		fmt.Fprintln(stdout, "testsummary:", err)
	}
	if ok := s.end(ci); !ok || err != nil {
		return 1
	}
	return 0
}

// feed runs the command and reads its events until it has ended.
func feed(s *summary, stderr io.Writer, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("connect %s: %w", command[0], err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", command[0], err)
	}
	return errors.Join(s.read(events), cmd.Wait())
}
