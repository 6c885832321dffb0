package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// exitCode is an error that has been told already: only the code is left to give.
type exitCode int

// Error is never shown.
func (e exitCode) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// exit gives an exit code as an error; nil for done.
func exit(code int) error {
	if code == fleet.ExitDone {
		return nil
	}
	return exitCode(code)
}

// exitWith is an error with another exit code than its own.
type exitWith struct {
	error
	code int
}

// Unwrap gives the error itself.
func (e *exitWith) Unwrap() error { return e.error }

// usage is a mistake of whoever called.
func usage(hint, format string, args ...any) error {
	return &fleet.Problem{Message: fmt.Sprintf(format, args...), Hint: hint, Exit: fleet.ExitUsage}
}

// failure is something that went wrong without anyone's mistake in calling.
func failure(hint, format string, args ...any) error {
	return &fleet.Problem{Message: fmt.Sprintf(format, args...), Hint: hint, Exit: fleet.ExitFailed}
}

// finish tells an error, and gives the exit code.
func (c *cli) finish(err error) int {
	var told exitCode
	switch {
	case err == nil:
		return fleet.ExitDone
	case errors.As(err, &told):
		return int(told)
	}
	p := c.problem(err)
	c.sayf("brine: %s\n", p.Message)
	if p.Hint != "" {
		c.sayf("  hint: %s\n", p.Hint)
	}
	return p.Exit
}

// problem is what an error says to people.
func (c *cli) problem(err error) fleet.Problem {
	p := fleet.Problem{Message: err.Error(), Exit: fleet.ExitFailed}
	var known *fleet.Problem
	switch {
	case errors.As(err, &known):
		p.Message, p.Hint = known.Message, known.Hint
		if known.Exit != fleet.ExitDone {
			p.Exit = known.Exit
		}
	case !c.started:
		return misused(err)
	case errors.Is(err, context.Canceled):
		p.Message = "interrupted"
	}
	if other, ok := errors.AsType[*exitWith](err); ok {
		p.Exit = other.code
	}
	return p
}

// misused makes one line and a hint of what cobra says about a command line.
func misused(err error) fleet.Problem {
	first, rest, _ := strings.Cut(err.Error(), "\n")
	p := fleet.Problem{Message: first, Hint: "see brine --help", Exit: fleet.ExitUsage}
	if _, names, ok := strings.Cut(rest, "Did you mean this?"); ok {
		p.Hint = "did you mean " + strings.Join(strings.Fields(names), " or ") + "?"
	}
	return p
}

// unreachable says that the master's socket cannot be used.
type unreachable struct {
	socket string
	err    error
}

// Unwrap gives the cause.
func (e *unreachable) Unwrap() error { return e.err }

// Error names the socket, the cause and what to do.
func (e *unreachable) Error() string {
	what, todo := e.parts()
	return fmt.Sprintf("master not reachable at %s: %s; %s", e.socket, what, todo)
}

func (e *unreachable) parts() (what, todo string) {
	todo = "is brine-master running? (set --socket or BRINE_SOCKET)"
	switch {
	case errors.Is(e.err, fs.ErrNotExist):
		return "no such file", todo
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return "connection refused", todo
	case errors.Is(e.err, fs.ErrPermission):
		return "permission denied", allowed(e.socket)
	default:
		return e.err.Error(), todo
	}
}

// allowed says who may use the socket, or its directory when that is what is closed.
func allowed(socket string) string {
	info, err := os.Stat(socket)
	if err != nil {
		info, err = os.Stat(filepath.Dir(socket))
	}
	if err != nil {
		return "ask whoever runs brine-master for access"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "ask whoever runs brine-master for access"
	}
	gid := strconv.FormatUint(uint64(stat.Gid), 10)
	name := gid
	if g, err := user.LookupGroupId(gid); err == nil {
		name = g.Name
	}
	return fmt.Sprintf("members of group %s may use it (usermod -aG %s USER, then log in again)", name, name)
}
