// Command brine-bench measures the bus and the master: many simulated minions, with real keys, real handshakes and real
// envelopes but without disks, against a brine-master process of its own; beside each figure, where there is one, that
// of libzmq with CURVE at the same work in the same minute. Then it measures what a minion does with archives and hooks,
// beside curl, tar and a shell. See docs/performance.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// options are what the flags say.
type options struct {
	minions int           // of the large measurements
	active  int           // of those about returns
	reps    int           // of the short measurements
	real    int           // minion processes
	idle    time.Duration // how long idle minions are watched
	procs   int           // that the simulated minions may use
	only    []string
	out     string
	bin     string
	profile string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "brine-bench:", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to stop
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "serve" { // what a bench starts beside itself
		return serve(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "web" {
		return web(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "host" {
		return host(ctx)
	}
	o, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	debug.SetGCPercent(garbage)
	if o.procs > 0 {
		runtime.GOMAXPROCS(o.procs)
	}
	if err := raiseDescriptors(o.minions); err != nil {
		return err
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	for _, s := range suite() {
		if len(o.only) > 0 && !slices.Contains(o.only, s.name) {
			continue
		}
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.report.finish(o.out)
}

// measurement is one part of a run.
type measurement struct {
	name string
	run  func(context.Context, *bench) error
}

// suite is the measurements in their order.
func suite() []measurement {
	return []measurement{
		{"idle", idle},             // memory and CPU of connected minions that do nothing
		{"fanout", fanout},         // one job to all
		{"restart", restart},       // the master dies, all come back
		{"handshakes", handshakes}, // everybody connects
		{"returns", returns},       // everybody answers
		{"ping", ping},             // one asks, one answers
		{"bulk", bulk},             // large messages
		{"rollouts", rollouts},     // deployments to all
		{"rolling", rolling},       // deployments to real hosts behind load balancers
		{"states", applying},       // states on one host, highstates at start
		{"processes", processes},   // real minions, the command line
		{"instance", instance},     // archives on one host
		{"unpacking", unpacking},   // of a minion that unpacks 1 GiB
	}
}

// garbage lets the simulated minions' memory grow rather than take time from the master: a fleet has its own processors.
const garbage = 800

func parse(args []string) (options, error) {
	var o options
	f := pflag.NewFlagSet("brine-bench", pflag.ContinueOnError)
	f.IntVar(&o.minions, "minions", 5000, "simulated minions; the bars are meant for 10000")
	f.IntVar(&o.active, "active", 1000, "simulated minions that return")
	f.IntVar(&o.reps, "reps", 5, "repetitions of short measurements; their median counts")
	f.IntVar(&o.real, "real", 60, "minion processes")
	f.DurationVar(&o.idle, "idle", 30*time.Second, "how long idle minions are watched")
	f.IntVar(&o.procs, "procs", 0, "processors that the simulated minions may use; 0: all, shared with the master")
	f.StringSliceVar(&o.only, "only", nil, "measure these only: "+strings.Join(names(), ", "))
	f.StringVar(&o.out, "out", "bench/results.json", "where the results go")
	f.StringVar(&o.bin, "bin", "bin", "directory of brine, brine-master, brine-minion and peer; see make bench")
	f.StringVar(&o.profile, "profile", "", "directory for CPU profiles of the master, one of each measurement; see go tool pprof")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			return o, fmt.Errorf("unknown measurement %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	return o, nil
}

func names() (list []string) {
	for _, m := range suite() {
		list = append(list, m.name)
	}
	return list
}

// spare are the descriptors that a process needs beside a connection for each minion.
const spare = 500

func raiseDescriptors(minions int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read limit of descriptors: %w", err)
	}
	need := uint64(minions + spare)
	if limit.Max < need {
		limit.Max = need // root may
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d minions need %d descriptors: raise the limit (ulimit -Hn) or use fewer --minions: %w", minions, need, err)
	}
	return nil
}
