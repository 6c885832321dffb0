package main

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// lastLines is how long the end of a deployment waits for the last lines of its scripts.
const lastLines = 3 * time.Second

func logFlag(cmd *cobra.Command, log *bool) {
	cmd.Flags().BoolVar(log, "log", false, "also show what the hook scripts say, as it comes")
}

// watched is a view that two streams show something in.
type watched struct {
	mu sync.Mutex // guards the view
	view
}

func (v *watched) show(r fleet.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.view.show(r)
}

func (v *watched) line(l fleet.LogLine) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if j, ok := v.view.(*jsonView); ok {
		j.print(l)
		return
	}
	_, event, _ := strings.Cut(l.Script, "-")
	v.say(text.Clock(l.Time) + " " + string(l.Minion) + "  " + event + " | " + text.Clean(l.Text))
}

// lines shows what a deployment's scripts say until done is called, which waits for the last ones. They are no more than
// something to look at: when they cannot be had, that is said, and everything else goes on.
func (c *cli) lines(ctx context.Context, d fleet.Deployment, v *watched) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() {
		path := "/v1/deployments/" + url.PathEscape(string(d.ID)) + "/log"
		for {
			err := stream(ctx, c.master, path, url.Values{"follow": {"true"}}, v.line)
			switch {
			case err == nil, ctx.Err() != nil:
				return
			case !passing(err):
				v.mu.Lock()
				v.say("brine: what the scripts say cannot be shown: " + err.Error())
				v.mu.Unlock()
				return
			}
			select {
			case <-time.After(maxPause):
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		late := time.AfterFunc(lastLines, cancel)
		reader.Wait()
		late.Stop()
		cancel()
	}
}
