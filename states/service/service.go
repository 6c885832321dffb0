// Package service keeps services running, or not, now and after a boot: Salt's service states, over systemd, OpenRC or plain
// init scripts.
package service

import (
	"context"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// manager is what keeps a host's services.
type manager interface {
	known(ctx context.Context, name string) bool
	running(ctx context.Context, name string) bool
	enabled(ctx context.Context, name string) bool
	// act is start, stop, restart, reload, enable, disable, mask, mask-runtime or unmask.
	act(ctx context.Context, action, name string) error
	masked(ctx context.Context, name string) bool
}

// States are the functions of the family.
func States() state.Family {
	common := []string{"enable", "sig", "init_delay", "no_block", "unmask", "unmask_runtime", "timeout", "reload", "full_restart", "force", "onlyif", "runtime"}
	return state.Family{
		"running": {
			Doc: "Makes a service run; enable says whether it starts with the host. When something that it watches has changed it is restarted, " +
				"or with reload told to read its files again.",
			Params: common, Run: running, Watch: watch,
		},
		"dead":     {Doc: "Makes a service not run; enable says whether it starts with the host.", Params: common, Run: dead, Watch: watch},
		"enabled":  {Doc: "Makes a service start with the host.", Params: common, Run: boot("enable"), Watch: watch},
		"disabled": {Doc: "Makes a service not start with the host.", Params: common, Run: boot("disable"), Watch: watch},
		"masked": {
			Doc:    "Makes it impossible to start a service (systemd), until the next boot only with runtime.",
			Params: common, Run: masked(true),
		},
		"unmasked": {Doc: "Undoes masked.", Params: common, Run: masked(false)},
	}
}

// call is one state and its manager.
type call struct {
	c       *state.Call
	m       manager
	name    string
	enable  any // nil, true or false
	delay   time.Duration
	unmask  bool
	reload  bool
	runtime bool
	full    bool
}

func read(c *state.Call) (*call, state.Result, bool) {
	a := args.Of(c)
	s := &call{
		c: c, name: c.Name, delay: time.Duration(min(max(a.Int("init_delay", 0), 0), 600)) * time.Second,
		unmask: a.Bool("unmask", false), reload: a.Bool("reload", false), runtime: a.Bool("runtime", false), full: a.Bool("full_restart", false),
	}
	for _, name := range []string{"no_block", "unmask_runtime", "force"} {
		a.Bool(name, false)
	}
	if a.Has("enable") {
		s.enable = a.Bool("enable", false)
	}
	if !validName(c.Name) {
		a.Wrong("%q is no name of a service", c.Name)
	}
	res, bad := a.Bad()
	return s, res, bad
}

// open finds the manager; stop says that there is none, or that it does not know the service.
func (s *call) open(ctx context.Context, wantKnown bool) (res state.Result, stop bool) {
	s.m = find(s.c)
	if s.m == nil {
		return args.Fine("Running in OFFLINE mode. Nothing to do"), true
	}
	if !wantKnown || s.m.known(ctx, s.name) {
		return res, false
	}
	if s.c.Test {
		return args.Would(nil, "Service %s not present; if created in this state run, it would have been started", s.name), true
	}
	return args.Failed("The named service %s is not available", s.name), true
}

func running(ctx context.Context, c *state.Call) state.Result {
	s, res, stop := read(c)
	if !stop {
		res, stop = s.open(ctx, true)
	}
	if stop {
		return res
	}
	up, bootChange := s.m.running(ctx, s.name), s.bootChange(ctx)
	switch {
	case up && !bootChange:
		return args.Fine("The service %s is already running", s.name)
	case c.Test && up:
		return args.Would(nil, "The service %s is already running, and would be %sd", s.name, s.bootAction())
	case c.Test:
		return args.Would(nil, "Service %s is set to start", s.name)
	}
	if s.unmask && s.m.masked(ctx, s.name) {
		if err := s.m.act(ctx, "unmask", s.name); err != nil {
			return args.Failed("%v", err)
		}
	}
	changes := data.NewMap()
	if !up {
		if err := s.m.act(ctx, "start", s.name); err != nil {
			return args.Failed("Service %s failed to start: %v", s.name, err)
		}
		s.wait(ctx)
		if !s.m.running(ctx, s.name) {
			return args.Failed("Service %s failed to start", s.name)
		}
		changes.Set(s.name, true)
	}
	return s.atBoot(ctx, changes, bootChange, up, "Started service "+s.name)
}

func dead(ctx context.Context, c *state.Call) state.Result {
	s, res, stop := read(c)
	if !stop {
		res, stop = s.open(ctx, false)
	}
	if stop {
		return res
	}
	if !s.m.known(ctx, s.name) {
		return args.Fine("The named service %s is not available", s.name)
	}
	up, bootChange := s.m.running(ctx, s.name), s.bootChange(ctx)
	switch {
	case !up && !bootChange:
		return args.Fine("The service %s is already dead", s.name)
	case c.Test && !up:
		return args.Would(nil, "The service %s is already dead, and would be %sd", s.name, s.bootAction())
	case c.Test:
		return args.Would(nil, "Service %s is set to be killed", s.name)
	}
	changes := data.NewMap()
	if up {
		if err := s.m.act(ctx, "stop", s.name); err != nil {
			return args.Failed("Service %s failed to die: %v", s.name, err)
		}
		s.wait(ctx)
		if s.m.running(ctx, s.name) {
			return args.Failed("Service %s failed to die", s.name)
		}
		changes.Set(s.name, true)
	}
	return s.atBoot(ctx, changes, bootChange, !up, fmt.Sprintf("Service %s was killed", s.name))
}

// bootChange reports whether enable asks for what is not so.
func (s *call) bootChange(ctx context.Context) bool {
	want, asked := s.enable.(bool)
	return asked && want != s.m.enabled(ctx, s.name)
}

func (s *call) bootAction() string {
	if s.enable == true {
		return "enable"
	}
	return "disable"
}

// atBoot enables or disables at the end of running and dead, and makes their result.
func (s *call) atBoot(ctx context.Context, changes *data.Map, change, idle bool, comment string) state.Result {
	if !change {
		return args.Done(changes, "%s", comment)
	}
	action := s.bootAction()
	if err := s.m.act(ctx, action, s.name); err != nil {
		return state.Result{Comment: fmt.Sprintf("%s, but it could not be %sd: %v", comment, action, err), Changes: changes}
	}
	changes.Set(s.name, true)
	if idle {
		state := "running"
		if action == "disable" {
			state = "in the desired state"
		}
		return args.Done(changes, "Service %s has been %sd, and is %s", s.name, action, state)
	}
	return args.Done(changes, "Service %s has been %sd, and %s", s.name, action, lower(comment, s.name))
}

func lower(comment, name string) string {
	if comment == "Started service "+name {
		return "is running"
	}
	return "is dead"
}

func (s *call) wait(ctx context.Context) {
	if s.delay <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(s.delay):
	}
}

// boot makes the functions enabled and disabled.
func boot(action string) func(context.Context, *state.Call) state.Result {
	return func(ctx context.Context, c *state.Call) state.Result {
		s, res, stop := read(c)
		if !stop {
			res, stop = s.open(ctx, false)
		}
		if stop {
			return res
		}
		s.enable = action == "enable"
		if !s.m.known(ctx, s.name) {
			if action == "disable" {
				return args.Fine("The named service %s is not available", s.name)
			}
			if c.Test {
				return args.Would(nil, "Service %s not present; if created in this state run, it would have been %sd", s.name, action)
			}
			return args.Failed("The named service %s is not available", s.name)
		}
		switch {
		case !s.bootChange(ctx):
			return args.Fine("Service %s is already %sd, and is in the desired state", s.name, action)
		case c.Test:
			return args.Would(nil, "Service %s set to be %sd", s.name, action)
		}
		if err := s.m.act(ctx, action, s.name); err != nil {
			return args.Failed("Failed when trying to %s service %s: %v", action, s.name, err)
		}
		return args.Done(data.NewMap(s.name, true), "Service %s has been %sd, and is in the desired state", s.name, action)
	}
}

// masked makes the functions masked and unmasked.
func masked(want bool) func(context.Context, *state.Call) state.Result {
	return func(ctx context.Context, c *state.Call) state.Result {
		s, res, stop := read(c)
		if !stop {
			res, stop = s.open(ctx, want)
		}
		if stop {
			return res
		}
		word, action := "masked", "mask"
		if s.runtime {
			action = "mask-runtime"
		}
		if !want {
			word, action = "unmasked", "unmask"
		}
		switch {
		case s.m.masked(ctx, s.name) == want:
			return args.Fine("Service %s was already %s", s.name, word)
		case c.Test:
			return args.Would(nil, "Service %s would have been %s", s.name, word)
		}
		if err := s.m.act(ctx, action, s.name); err != nil {
			return args.Failed("%v", err)
		}
		return args.Done(data.NewMap(s.name, data.NewMap("old", !want, "new", want)), "Service %s was %s", s.name, word)
	}
}

// watch restarts a service because something that it watches has changed.
func watch(ctx context.Context, c *state.Call) state.Result {
	s, res, stop := read(c)
	if !stop {
		res, stop = s.open(ctx, true)
	}
	if stop {
		return res
	}
	action, past := "restart", "restarted"
	switch {
	case !s.m.running(ctx, s.name):
		action, past = "start", "started"
	case s.reload:
		action, past = "reload", "reloaded"
	}
	if c.Test {
		return args.Would(nil, "Service is set to be %s", past)
	}
	if err := s.m.act(ctx, action, s.name); err != nil {
		return args.Failed("Failed to %s the service: %v", action, err)
	}
	s.wait(ctx)
	return args.Done(data.NewMap(s.name, true), "Service %s", past)
}
