package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/brine-deploy/brine/cmd/brine/progress"
	"github.com/brine-deploy/brine/pkg/config"
)

// cli is one run of the program: what it was given, and what the settings made of it.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time

	file    string // --config
	noColor bool   // --no-color
	started bool   // a command has begun: what fails now is no usage error

	stateOutput string // --state-output of run

	master *client
	json   bool
	out    palette // for stdout
	err    palette // for stderr
}

// run runs one command and returns its exit code. When ctx is done it stops waiting; what it started goes on.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
	root := c.rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return c.finish(root.ExecuteContext(ctx))
}

// connected makes a command of one that talks to the master: settings are loaded, the client is ready.
func (c *cli) connected(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := c.load(cmd); err != nil {
			return err
		}
		return do(cmd.Context(), args)
	}
}

func (c *cli) load(cmd *cobra.Command) error {
	set, err := config.LoadCLI(c.file, cmd.Flags())
	if err != nil {
		return usage("", "%s", err)
	}
	c.json = set.Output == "json"
	c.master = newClient(set.Socket)
	c.out = palette{on: c.coloured(set.Color, c.stdout)}
	c.err = palette{on: c.coloured(set.Color, c.stderr)}
	return nil
}

func (c *cli) coloured(when string, w io.Writer) bool {
	switch {
	case c.noColor || when == "never":
		return false
	case when == "always":
		return true
	default:
		return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
	}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// interactive reports whether a person sits in front: one who can be asked, and for whom lines can be redrawn.
func (c *cli) interactive() bool { return isTerminal(c.stdin) && isTerminal(c.stderr) }

// ask asks a yes-or-no question on the terminal; anything but yes is no.
func (c *cli) ask(ctx context.Context, question string) (bool, error) {
	c.sayf("%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be cancelled; the process ends soon after
		line, _ := bufio.NewReader(c.stdin).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		c.sayf("\n")
		return false, ctx.Err()
	case line := <-answer:
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes", nil
	}
}

// sayf writes to stderr: progress, questions, hints. A stderr that is gone is no reason to stop.
func (c *cli) sayf(format string, args ...any) { _, _ = fmt.Fprintf(c.stderr, format, args...) }

// print writes lines of data to stdout.
func (c *cli) print(lines ...string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(c.stdout, line); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}

// printLines writes lines with their tones to stdout.
func (c *cli) printLines(lines []progress.Line) error {
	for _, line := range lines {
		if err := c.print(c.out.paint(line)); err != nil {
			return err
		}
	}
	return nil
}

// printJSON writes v as one readable document.
func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// printJSONLine writes v as one line of a stream.
func (c *cli) printJSONLine(v any) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
