package run

import (
	"context"
	"slices"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/state"
)

// listener is a state that is called at the end when another one changed.
type listener struct {
	state, name string // who listens
	to          []any  // requirements
}

// listen calls, after all states, those that listen to what changed: each once, as listener_ID.
func (r *Runner) listen(ctx context.Context) {
	var calls []*chunk
	errors := map[Tag]*Result{}
	for _, l := range r.listeners() {
		for _, item := range l.to {
			stateName, name := requirement(item)
			heard, known := r.heard(stateName, modules.Text(name))
			if !known {
				if stateName != "id" { // as in Salt
					r.noSuch(errors, stateName, modules.Text(name))
				}
				continue
			}
			if !heard {
				continue
			}
			who := r.named(l.state, l.name)
			if len(who) == 0 {
				r.noSuch(errors, l.state, l.name)
			}
			for _, c := range who {
				calls = append(calls, c.listening())
			}
		}
	}
	r.links = newLinks(calls)
	r.all(ctx, calls)
	for _, res := range errors {
		res.number = r.next()
		r.running[res.tag()] = res
	}
}

func (r *Runner) listeners() (all []listener) {
	for _, c := range r.chunks {
		if v, ok := c.Args.Get("listen"); ok {
			list, _ := v.([]any)
			all = append(all, listener{c.State, c.ID, list})
		}
		if v, ok := c.Args.Get("listen_in"); ok {
			list, _ := v.([]any)
			for _, item := range list {
				stateName, name := requirement(item)
				all = append(all, listener{stateName, modules.Text(name), []any{data.NewMap(c.State, c.ID)}})
			}
		}
	}
	return all
}

// named are the chunks that a listener or what it listens to means, by ID or by name.
func (r *Runner) named(stateName, name string) (found []*chunk) {
	for _, c := range r.chunks {
		if (c.State == stateName || stateName == "id") && (c.ID == name || c.Name == name) {
			found = append(found, c)
		}
	}
	return found
}

// heard reports whether one of the states that are meant changed something.
func (r *Runner) heard(stateName, name string) (changed, known bool) {
	among := r.named(stateName, name)
	changed = slices.ContainsFunc(among, func(c *chunk) bool {
		res := r.running[tagOf(c.Chunk)]
		if res == nil {
			return false
		}
		r.wait(res)
		return res.Changed()
	})
	return changed, len(among) > 0
}

func (r *Runner) noSuch(errors map[Tag]*Result, stateName, name string) {
	res := &Result{
		Result: state.Result{Reason: ReqMissing, Comment: "Referenced state " + stateName + ": " + name + " does not exist"},
		ID:     "listen_" + name, State: "Listen_Error", Fun: "Listen_Error", Name: "listen_" + stateName + ":" + name,
	}
	errors[res.tag()] = res
}

// listening is a chunk as it is called for what it listened to: without requisites.
func (c *chunk) listening() *chunk {
	low := *c.Chunk
	low.ID = "listener_" + low.ID
	low.Args, _ = data.Copy(low.Args).(*data.Map)
	for _, kind := range append([]string{"listen", "onfail_stop"}, kinds...) {
		low.Args.Delete(kind)
	}
	return &chunk{Chunk: &low, watched: true}
}
