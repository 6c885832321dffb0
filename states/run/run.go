package run

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/state"
)

// Runner calls states on this host. Its fields are set before it runs; one run at a time.
type Runner struct {
	Families map[string]state.Family
	Host     *state.Host
	Test     bool // change nothing
	Failhard bool // end with the first state that fails

	chunks  []*chunk
	links   *links
	running map[Tag]*Result
	pre     map[Tag]*Result // what calling a state with test says, for those that have it as their prereq
	active  map[Tag]bool    // what is being called
	number  int
	stop    bool // failhard: a requisite failed
}

// chunk is a state with what happens to it.
type chunk struct {
	*compile.Chunk
	prereq      bool // the next call of it is a look at what it would do
	prerequired bool
	watched     bool // it is called for its watch: Salt's mod_watch
	reqs        map[string][]*chunk
	lost        []lost // requisites that nothing matches
	linked      bool
}

// Run calls chunks in their order and gives the results in the order in which they came. Those that a context's end kept
// from running are not among them.
func (r *Runner) Run(ctx context.Context, chunks []*compile.Chunk) []*Result {
	r.begin(chunks)
	r.all(ctx, r.chunks)
	r.listen(ctx)
	return r.results()
}

// One calls one ID's states of all chunks, and what they require.
func (r *Runner) One(ctx context.Context, chunks []*compile.Chunk, id string) []*Result {
	r.begin(chunks)
	for _, c := range r.chunks {
		if c.ID == id {
			r.chunk(ctx, c)
			clear(r.active)
		}
	}
	return r.results()
}

// Single calls one chunk whatever its requisites.
func (r *Runner) Single(ctx context.Context, c *compile.Chunk) *Result {
	r.begin([]*compile.Chunk{c})
	res := r.call(ctx, r.chunks[0])
	r.wait(res)
	return res
}

func (r *Runner) begin(chunks []*compile.Chunk) {
	r.running, r.pre, r.active, r.number, r.stop = map[Tag]*Result{}, map[Tag]*Result{}, map[Tag]bool{}, 0, false
	r.chunks = make([]*chunk, len(chunks))
	for i, c := range chunks {
		r.chunks[i] = &chunk{Chunk: c}
	}
	r.links = newLinks(r.chunks)
}

func (r *Runner) results() []*Result {
	all := make([]*Result, 0, len(r.running))
	for _, res := range r.running {
		r.wait(res)
		all = append(all, res)
	}
	slices.SortFunc(all, func(a, b *Result) int { return cmp.Compare(a.number, b.number) })
	return all
}

func (r *Runner) all(ctx context.Context, chunks []*chunk) {
	r.stop = false
	for _, c := range chunks {
		if r.stop || ctx.Err() != nil {
			return
		}
		if r.running[tagOf(c.Chunk)] == nil {
			r.chunk(ctx, c)
			if r.fatal(c) {
				return
			}
		}
		clear(r.active)
	}
}

// fatal reports whether a state's failure ends the run.
func (r *Runner) fatal(c *chunk) bool {
	res := r.running[tagOf(c.Chunk)]
	own, _ := c.Args.Get("failhard")
	if r.Test || res == nil || !r.Failhard && !modules.Truth(own) {
		return false
	}
	select {
	case <-res.done:
	default:
		if res.done != nil { // nobody knows yet
			return false
		}
	}
	return res.Verdict == state.False
}

// deepest is how often a state whose requisites were met just now may find them unmet again.
const deepest = 20

// chunk calls a state, after those that it requires.
func (r *Runner) chunk(ctx context.Context, c *chunk) { r.chunkAgain(ctx, c, 0) }

func (r *Runner) chunkAgain(ctx context.Context, c *chunk, depth int) {
	tag := tagOf(c.Chunk)
	r.links.resolve(c)
	if !c.has("prerequired") {
		r.active[tag] = true
	}
	switch status := r.status(c); status {
	case unmet:
		r.unmet(ctx, c, depth)
	case failed:
		r.failed(c)
	case changed:
		res := r.call(ctx, c)
		if c.prereq {
			r.keep(c, res)
			return
		}
		r.wait(res)
		if !res.Changed() && !res.skipWatch && r.watchable(c) {
			res = r.call(ctx, c.watching())
			res.Fun = c.Fun
		}
		r.running[tag] = res
	case preUnmet:
		r.skip(c, PrereqUnmet, "No changes detected")
	case onfailUnmet:
		r.skip(c, OnfailUnmet, "State was not run because onfail req did not change")
	case onchangesUnmet:
		r.skip(c, OnchangesUnmet, "State was not run because none of the onchanges reqs changed")
	default:
		r.keep(c, r.call(ctx, c))
	}
}

// keep remembers a result where it belongs.
func (r *Runner) keep(c *chunk, res *Result) {
	if c.prereq {
		c.prereq = false
		r.pre[tagOf(c.Chunk)] = res
		return
	}
	r.running[tagOf(c.Chunk)] = res
}

// unmet calls what a state requires and has not run yet, then the state.
func (r *Runner) unmet(ctx context.Context, c *chunk, depth int) {
	tag := tagOf(c.Chunk)
	if len(c.lost) > 0 {
		res := r.result(c, state.False, ReqMissing, missing(c.lost))
		if c.prereq {
			r.pre[tag] = res
		} else {
			r.running[tag] = res
		}
		return
	}
	for _, kind := range kinds {
		if kind == "prerequired" && c.prereq {
			continue
		}
		for _, req := range c.reqs[kind] {
			req.prereq = req.prereq || kind == "prereq"
			req.prerequired = req.prerequired || kind == "prerequired"
		}
	}
	for _, kind := range kinds {
		if kind == "prerequired" && c.prereq {
			continue
		}
		for _, req := range c.reqs[kind] {
			if r.running[tagOf(req.Chunk)] != nil {
				continue
			}
			if done := r.require(ctx, c, req); done || r.stop {
				return
			}
		}
	}
	if c.prereq {
		status := r.status(c)
		res := r.call(ctx, c)
		c.prereq = false
		if !res.Changed() && status == changed {
			res.Changes, res.Verdict = data.NewMap("watch", "watch"), state.Pending
		}
		r.pre[tag] = res
		return
	}
	if depth++; depth >= deepest {
		r.running[tag] = r.result(c, state.False, ReqRecursive, "Recursive requisite found")
		return
	}
	r.chunkAgain(ctx, c, depth)
	r.stop = r.stop || r.fatal(c)
}

// require calls one state that c requires; done says that c is not to be called any more.
func (r *Runner) require(ctx context.Context, c, req *chunk) (done bool) {
	tag, reqTag := tagOf(c.Chunk), tagOf(req.Chunk)
	if !r.active[reqTag] {
		r.chunk(ctx, req)
		r.stop = r.stop || r.fatal(req)
		return false
	}
	if req.prerequired {
		if r.pre[tag] == nil {
			c.prereq = true
			r.pre[reqTag] = r.call(ctx, c)
			c.prereq = false
		}
		return true
	}
	r.running[tag] = r.result(c, state.False, ReqRecursive, "Recursive requisite found: "+c.State+" "+c.ID+" waits for "+req.State+" "+req.ID+", which waits for it")
	return true
}

// failed notes a state that cannot run for what it requires.
func (r *Runner) failed(c *chunk) {
	tag := tagOf(c.Chunk)
	if before := r.pre[tag]; before != nil && !c.prereq {
		// What it would have done was seen already; what came before it failed, so nothing of that is to be.
		before.Changes = nil
		before.number = r.next()
		r.running[tag] = before
		return
	}
	var names []string
	for _, kind := range kinds {
		for _, req := range c.reqs[kind] {
			res := r.pre[tagOf(req.Chunk)]
			if res == nil {
				res = r.running[tagOf(req.Chunk)]
			}
			if name := req.SLS + "." + req.ID; res != nil && res.Verdict == state.False && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	res := r.result(c, state.False, ReqFailed, "One or more requisite failed: "+strings.Join(names, ", "))
	r.running[tag], r.pre[tag] = res, res
}

func (r *Runner) skip(c *chunk, reason, comment string) {
	res := r.result(c, state.True, reason, comment)
	res.ran = reason == PrereqUnmet
	r.running[tagOf(c.Chunk)] = res
	if c.prereq {
		c.prereq = false
		r.pre[tagOf(c.Chunk)] = res
	}
}

func (r *Runner) next() int {
	r.number++
	return r.number - 1
}
