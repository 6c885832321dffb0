// Package returners is the contract of the places that returns and deployment events go to. Drivers live in the folders
// below and are listed in the package all.
package returners

import (
	"context"
	"errors"
	"net/http"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// ErrRefused says that the other side was reached and will not have the records, now or later, until a person mends it.
var ErrRefused = errors.New("refused")

// Returner takes the records of the journal's log, in order. It is called from one goroutine. One that is an io.Closer is
// closed when nothing more comes; closing it again does nothing.
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

// Gauger is a Page that can show values that it does not get by records: Gauge is for what goes up and down, Counter for
// what only goes up. They are called before the page is served, once for each name with its labels, which are names and
// values by turns; the same name has the same help and names of labels. value is called for each request, concurrently,
// and must not wait.
type Gauger interface {
	Gauge(name, help string, value func() float64, labels ...string)
	Counter(name, help string, value func() float64, labels ...string)
}

// Measured is a returner that has values of its own for such a page; name is its name in the configuration, for a label.
type Measured interface {
	Measure(g Gauger, name string)
}
