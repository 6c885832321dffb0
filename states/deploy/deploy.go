// Package deploy brings applications to hosts by their states: brine's own, which Salt does not have.
package deploy

import (
	"context"
	"strings"

	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family {
	return state.Family{
		"release": {
			Doc: "Brings a group of an application to its target revision on this host, as a deployment would. name is the application, or " +
				"APPLICATION/GROUP.",
			Params: []string{"application", "app", "group"}, Run: release,
		},
	}
}

func release(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	name, group, _ := strings.Cut(c.Name, "/")
	app := a.Text("application", a.Text("app", name))
	group = a.Text("group", group)
	if app == "" {
		a.Wrong("Missing parameter application")
	}
	if group == "" {
		a.Wrong("Missing parameter group")
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	if c.Host.Release == nil {
		return args.Failed("application %s cannot be deployed without a master: this host is not connected to one", app)
	}
	return c.Host.Release(ctx, app, group, c.Test)
}
