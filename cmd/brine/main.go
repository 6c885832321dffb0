// Command brine is what people and CI use: it asks the master over its Unix socket and shows what comes back. Data goes
// to stdout, progress and problems to stderr. Each subcommand has a file; the packages below turn what the master says
// into text.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
