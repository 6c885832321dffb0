// Command demo shows brine at work on this machine: a master, minions, a git repository and a load balancer under steady
// load. It needs Go and git alone, and ends by itself; KEEP=1 leaves it running.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// run is the story.
func run(ctx context.Context) (err error) {
	started := time.Now()
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	s, err := build(ctx, bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	say("A git repository with a small HTTP service: v1, v2, and v3, which is broken")
	say("A master, and three minions that enrol with a token, each a process of its own")
	if err := s.start(ctx); err != nil {
		return err
	}

	say("The first deployment: v1, built from git, to all three")
	if err := s.deploy(ctx, "v1", 0); err != nil {
		return err
	}
	load := s.load(ctx)

	say("Under load: v2, one minion after the other, each drained before and checked after")
	if err := s.deploy(ctx, "v2", 0); err != nil {
		return err
	}

	say("v3 starts, but does not work: its ValidateService fails, so it never gets traffic and v2 comes back")
	if err := s.deploy(ctx, "v3", exitReverted); err != nil {
		return err
	}

	say("A fourth minion starts, as in an autoscaling group: it asks for its highstate and goes into the pool by itself")
	if err := s.newcomer(ctx); err != nil {
		return err
	}

	say("web1 leaves: it is taken out of the pool first")
	if err := s.brine(ctx, 0, "drain", "web1"); err != nil {
		return err
	}
	if err := s.brine(ctx, 0, "status"); err != nil {
		return err
	}
	if os.Getenv("KEEP") != "" {
		s.invite()
		<-ctx.Done()
	}
	return s.tell(load.stop(), time.Since(started))
}
