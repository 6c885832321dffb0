package main

import (
	"context"
	"os"

	"github.com/brine-deploy/brine/cmd/brine/progress"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// view shows a deployment's records as they come. close is called once, after the last.
type view interface {
	show(r fleet.Record)
	say(line string) // something about the watching itself
	close() error
}

// view chooses how: JSON lines, rows that are redrawn, or plain lines. interrupt is called when the person at the
// terminal wants to stop watching.
func (c *cli) view(d fleet.Deployment, interrupt context.CancelFunc) view {
	switch {
	case c.json:
		return &jsonView{cli: c}
	case c.interactive() && os.Getenv("TERM") != "dumb":
		return newLiveView(c, d, interrupt)
	default:
		return &plainView{cli: c, state: progress.New(d)}
	}
}

// plainView writes a line on stderr for whatever happens.
type plainView struct {
	*cli
	state *progress.State
}

func (v *plainView) show(r fleet.Record) {
	for _, line := range v.state.Apply(r) {
		v.say(v.err.paint(line))
	}
}

func (v *plainView) say(line string) { v.sayf("%s\n", line) }

func (v *plainView) close() error { return nil }

// jsonView writes the records themselves on stdout.
type jsonView struct {
	*cli
	failed error
}

func (v *jsonView) show(r fleet.Record) { v.print(r) }

func (v *jsonView) print(item any) {
	if v.failed == nil {
		v.failed = v.printJSONLine(item)
	}
}

func (v *jsonView) say(line string) { v.sayf("%s\n", line) }

func (v *jsonView) close() error { return v.failed }
