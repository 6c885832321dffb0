package states

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/states/compile"
	"github.com/brine-deploy/brine/states/run"
	"github.com/brine-deploy/brine/states/state"
)

// topName makes an SLS of Salt's state_top, which is a file's name or URL.
func topName(file string) string {
	file = strings.TrimPrefix(strings.TrimPrefix(file, "salt://"), "/")
	return strings.ReplaceAll(strings.TrimSuffix(file, ".sls"), "/", ".")
}

// wrong makes an answer of an error when it is about the files.
func wrong(err error) (*Answer, error) {
	var bad compile.Errors
	if !errors.As(err, &bad) {
		return nil, err
	}
	code := CodeCompile
	if len(bad) == 1 && bad[0].Class == "unknown renderer" {
		code = CodeFailed // Salt goes on with nothing
	}
	return &Answer{Code: code, Errors: bad}, nil
}

func (e *Engine) apply(ctx context.Context, args *data.Map) (*Answer, error) {
	if mods, _ := args.Get("mods"); mods != nil {
		return e.sls(ctx, args)
	}
	return e.highstate(ctx, args)
}

func (e *Engine) test(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.apply(ctx, data.Merge(args, data.NewMap("test", true), data.Overwrite, false))
}

func (e *Engine) sls(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.applied(ctx, args, func(c *call) (compile.Mods, *Answer, error) {
		mods, err := c.mods()
		return mods, nil, err
	})
}

func (e *Engine) highstate(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.applied(ctx, args, func(c *call) (compile.Mods, *Answer, error) {
		mods, err := c.top(ctx)
		bad, broken := errors.AsType[compile.Errors](err)
		broken = broken && !slices.ContainsFunc(bad, func(e *compile.Error) bool { return e.Class == compile.BadTop })
		if broken || err == nil && len(mods) == 0 { // to Salt a top file that does not render is none
			answer := noStates("No Top file or master_tops data matches found. Please see master log for details.")
			answer.Errors = bad
			return nil, answer, nil
		}
		return mods, nil, err
	})
}

// noStates is the answer when top files have nothing for this minion.
func noStates(comment string) *Answer {
	return &Answer{Code: CodeFailed, Applied: true, States: []*run.Result{{
		Result: state.Result{Reason: run.StateFailed, Comment: comment},
		ID:     "states", State: "no", Fun: "None", Name: "No States",
	}}}
}

// Empty says that top files have nothing for this minion, and are not wrong.
func (a *Answer) Empty() bool {
	return len(a.Errors) == 0 && len(a.States) == 1 && a.States[0].State == "no" && a.States[0].ID == "states"
}

// applied compiles what choose gives, and calls it.
func (e *Engine) applied(ctx context.Context, args *data.Map, choose func(*call) (compile.Mods, *Answer, error)) (*Answer, error) {
	ctx, release := e.lock(ctx)
	defer release()
	c, answer, err := e.begin(ctx, args)
	if answer != nil || err != nil {
		return answer, err
	}
	mods, answer, err := choose(c)
	if err != nil {
		return wrong(err)
	}
	if answer != nil {
		return answer, nil
	}
	high, err := c.finished(ctx, mods)
	if err != nil {
		return wrong(err)
	}
	low := high.Low()
	if v, _ := args.Get("mods"); v == nil && len(low) == 0 {
		return noStates("No states found for this minion"), nil
	}
	if strict, _ := c.env.Opts.Get("strict_states"); modules.Truth(strict) {
		if err := run.Check(c.Families, low); err != nil {
			return wrong(err)
		}
	}
	answer, err = judged(high, c.runner().Run(ctx, low))
	if ctx.Err() != nil && err == nil {
		answer.Code = CodeFailed
		answer.Errors = compile.Errors{{Class: "interrupted", Message: fmt.Sprintf("interrupted after %d of %d states: %s", len(answer.States), len(low), context.Cause(ctx))}}
	}
	return answer, err
}

// inside marks the context of what a state calls.
type inside struct{}

// lock waits until nothing else is applied; what a state itself applies (module.run) waits for nobody.
func (e *Engine) lock(ctx context.Context) (_ context.Context, release func()) {
	if ctx.Value(inside{}) != nil {
		return ctx, func() {}
	}
	e.applying.Lock()
	return context.WithValue(ctx, inside{}, true), e.applying.Unlock
}

// finished renders SLS files and puts them together.
func (c *call) finished(ctx context.Context, mods compile.Mods) (*compile.High, error) {
	high, err := compile.Tree(ctx, c.source(), mods)
	if err != nil {
		return nil, err
	}
	if exclude, _ := c.args.Get("exclude"); exclude != nil {
		high.Exclude(exclude)
	}
	return high, high.Finish()
}

// mods are the SLS files that were asked for.
func (c *call) mods() (compile.Mods, error) {
	v, _ := c.args.Get("mods")
	mods := compile.ParseMods(c.env.Saltenv, v)
	if len(mods) == 0 {
		return nil, fmt.Errorf("%w: name an SLS", modules.ErrArguments)
	}
	return mods, nil
}

// judged is the answer for results.
func judged(high *compile.High, results []*run.Result) (*Answer, error) {
	a := &Answer{Applied: true, States: results, Code: CodeDone}
	if len(results) == 0 || !run.Succeeded(high, results) {
		a.Code = CodeFailed
	}
	return a, nil
}

func (e *Engine) slsID(ctx context.Context, args *data.Map) (*Answer, error) {
	ctx, release := e.lock(ctx)
	defer release()
	c, answer, err := e.begin(ctx, args)
	if answer != nil || err != nil {
		return answer, err
	}
	mods, err := c.mods()
	if err != nil {
		return nil, err
	}
	high, err := c.finished(ctx, mods)
	if err != nil {
		return wrong(err)
	}
	v, _ := args.Get("id")
	id := modules.Text(v)
	of, _ := args.Get("mods")
	if high.ID(id) == nil {
		return wrong(compile.Errors{{Class: compile.BadData, Message: fmt.Sprintf("No matches for ID '%s' found in SLS '%s'", id, modules.Text(of))}})
	}
	return judged(high, c.runner().One(ctx, high.Low(), id))
}

// single makes one state true, without any SLS.
func (e *Engine) single(ctx context.Context, args *data.Map) (*Answer, error) {
	ctx, release := e.lock(ctx)
	defer release()
	c, answer, err := e.begin(ctx, args)
	if answer != nil || err != nil {
		return answer, err
	}
	fun, _ := args.Get("fun")
	family, function, ok := strings.Cut(modules.Text(fun), ".")
	if !ok {
		return nil, fmt.Errorf("%w: fun is a state and its function, such as pkg.installed, not %q", modules.ErrArguments, modules.Text(fun))
	}
	name, given := args.Get("name")
	if !given {
		return nil, fmt.Errorf("%w: state.single needs a name", modules.ErrArguments)
	}
	own := data.Merge(args, nil, data.Overwrite, false)
	for _, key := range append([]string{"fun", "name"}, options...) {
		own.Delete(key)
	}
	res := c.runner().Single(ctx, &compile.Chunk{
		State: family, Fun: function, ID: modules.Text(name), Name: modules.Text(name), Env: c.env.Saltenv, Args: own,
	})
	if res.Reason == run.NoSuchFunction || res.Reason == run.BadArguments {
		return &Answer{Code: CodeCompile, Errors: compile.Errors{{Class: compile.Class(res.Reason), Message: strings.TrimSpace(res.Comment)}}}, nil
	}
	return judged(nil, []*run.Result{res})
}
