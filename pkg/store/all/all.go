// Package all lists the drivers of the store.
package all

import (
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/dir"
	"github.com/brine-deploy/brine/pkg/store/s3"
)

// List gives the drivers. A new one is a folder beside this one and a line here.
func List() registry.List[store.Driver] {
	return registry.List[store.Driver]{dir.Plugin, s3.Plugin}
}
