// Package balancer is the contract of load balancers. Drivers live in the folders below and are listed in the package
// all; package balancertest holds the suite that each must pass.
package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrUnknownPool says that the balancer was reached and has no such pool.
var ErrUnknownPool = errors.New("unknown pool")

// Member is one server of a pool.
type Member struct {
	Name    string // its name in the balancer, unique in its pool
	Address string // host:port
}

// Status is where a member stands in its pool.
type Status string

// The statuses of a member.
const (
	Up       Status = "up"       // gets traffic
	Down     Status = "down"     // in the pool, but its health check fails
	Checking Status = "checking" // in the pool, health not known yet
	Draining Status = "draining" // no new connections, old ones not finished
	Out      Status = "out"      // gets none, has none
)

// Balancer is one load balancer. Its methods may be called concurrently, also for the same pool. Each is idempotent:
// repeated after a crash of the master or a restart of the balancer, it brings about the same end. An error that says
// the balancer cannot be reached leaves the pool as it was.
type Balancer interface {
	// Drain takes a member out of its pool: no new connections at once, then it waits until the open ones have ended or
	// ctx is done. When ctx's deadline passes with connections open it cuts the member off and returns nil. When ctx is
	// canceled (the master stops) it leaves the member draining, cuts nobody off and returns ctx's error. A member that
	// is not there is drained already.
	Drain(ctx context.Context, pool string, m Member) error

	// Activate lets a member in, adding it if the pool does not have it, and waits until the balancer finds it healthy.
	// When ctx is done before that it takes the member out again and returns an error that says what the health check saw.
	Activate(ctx context.Context, pool string, m Member) error

	// Members says where each member of a pool stands, by name. A driver may forget members that were drained: who is
	// missing is out. It is also the check that the pool can be used.
	Members(ctx context.Context, pool string) (map[string]Status, error)
}

// Switcher is a balancer that can let some members in and take others out in one step, so that no two requests of one
// instant meet different sides. Those that come in must be healthy before, those that go out are drained as by Drain.
// Repeated it brings about the same end; when ctx is done before the step, nothing has changed. A pool of which the balancer
// cannot do it gives errors.ErrUnsupported, at once.
type Switcher interface {
	Switch(ctx context.Context, pool string, in, out []Member) error
}

// StateKeeper is a balancer that must remember something over a restart of the master. KeepState names the file to
// keep it in, and is called once, before anything else; a file named in the balancer's own section wins.
type StateKeeper interface {
	KeepState(file string) error
}

// Server is a balancer that runs inside the master. Serve returns when ctx is done, after its listeners are closed and
// its requests are finished.
type Server interface {
	Serve(ctx context.Context) error
}

// CheckMember refuses what no balancer can take: an empty pool, a member without a name or with an address that is not
// host:port.
func CheckMember(pool string, m Member) error {
	switch host, port, err := net.SplitHostPort(m.Address); {
	case pool == "":
		return errors.New("the pool has no name")
	case m.Name == "":
		return fmt.Errorf("a member of pool %s has no name", pool)
	case err != nil || host == "" || port == "":
		return fmt.Errorf("address %q of member %s in pool %s is not host:port", m.Address, m.Name, pool)
	}
	return nil
}

// Resolve finds the IP address of a member: a host name is looked up, and the first answer taken.
func Resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: %w", address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q: the port is not a number from 1 to 65535", address)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: %w", address, err)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(port)), nil
}

// UnknownPool is the error for a pool that the balancer does not have; it wraps ErrUnknownPool and lists those it has.
func UnknownPool(pool string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("%w %q; the balancer has none", ErrUnknownPool, pool)
	}
	return fmt.Errorf("%w %q; the balancer has: %s", ErrUnknownPool, pool, strings.Join(slices.Sorted(slices.Values(known)), ", "))
}
