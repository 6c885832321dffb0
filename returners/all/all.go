// Package all lists the returners.
package all

import (
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
	"github.com/brine-deploy/brine/returners/file"
	"github.com/brine-deploy/brine/returners/prometheus"
	"github.com/brine-deploy/brine/returners/webhook"
	"github.com/brine-deploy/brine/returners/zmq"
)

// List returns the returners, sorted by name.
func List() registry.List[returners.Returner] {
	return registry.List[returners.Returner]{
		file.Plugin(),
		prometheus.Plugin(),
		webhook.Plugin(),
		zmq.Plugin(),
	}
}
