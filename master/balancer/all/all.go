// Package all lists the load balancers that a master can drive.
package all

import (
	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/elbv2"
	"github.com/brine-deploy/brine/master/balancer/exec"
	"github.com/brine-deploy/brine/master/balancer/haproxy"
	"github.com/brine-deploy/brine/master/balancer/nginx"
	"github.com/brine-deploy/brine/master/balancer/proxy"
	"github.com/brine-deploy/brine/pkg/registry"
)

// Balancers returns the list, sorted by name.
func Balancers() registry.List[balancer.Balancer] {
	return registry.List[balancer.Balancer]{
		elbv2.Plugin(),
		exec.Plugin(),
		haproxy.Plugin(),
		nginx.Plugin(),
		proxy.Plugin(),
	}
}
