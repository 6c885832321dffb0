// Package balancer is the contract of load balancers. Drivers live in the folders below and are listed in the package
// all; package balancertest holds the suite that each must pass.
package balancer

import (
	"context"
	"errors"
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
	// ctx is done. When ctx is done with connections open it cuts the member off and returns nil. A member that is not
	// there is drained already.
	Drain(ctx context.Context, pool string, m Member) error

	// Activate lets a member in, adding it if the pool does not have it, and waits until the balancer finds it healthy.
	// When ctx is done before that it takes the member out again and returns an error that says what the health check saw.
	Activate(ctx context.Context, pool string, m Member) error

	// Members says where each member of a pool stands, by name. It is also the check that the pool can be used.
	Members(ctx context.Context, pool string) (map[string]Status, error)
}

// Server is a balancer that runs inside the master. Serve returns when ctx is done, after its listeners are closed and
// its requests are finished.
type Server interface {
	Serve(ctx context.Context) error
}
