// Package returners is the contract of the places that returns and deployment events go to. Drivers live in the folders
// below and are listed in the package all.
package returners

import (
	"context"
	"net/http"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Returner takes the records of the journal's log, in order. It is called from one goroutine.
type Returner interface {
	// Deliver hands over at least one record. Nil means that all of them are safe where they should be: they are not
	// handed over again, not even after a restart. After an error all are handed over again, later, so a returner may
	// see a record twice and tells it by its Seq. Deliver returns soon after ctx is done.
	Deliver(ctx context.Context, records []fleet.Record) error
}

// Page is a returner that shows what it got on the master's own HTTP listener. Such a returner keeps its state in
// memory and gets the records from the time of the master's start on.
type Page interface {
	Path() string // "/metrics"
	http.Handler
}
