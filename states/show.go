package states

import (
	"context"
	"slices"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/compile"
)

// shown begins a function that applies nothing, and makes its answer.
func (e *Engine) shown(ctx context.Context, args *data.Map, show func(*call) (any, error)) (*Answer, error) {
	c, answer, err := e.begin(ctx, args)
	if answer != nil || err != nil {
		return answer, err
	}
	got, err := show(c)
	if err != nil {
		return wrong(err)
	}
	return &Answer{Return: got}, nil
}

// tree renders the SLS files that were asked for.
func (c *call) tree(ctx context.Context) (*compile.High, error) {
	mods, err := c.mods()
	if err != nil {
		return nil, err
	}
	return compile.Tree(ctx, c.source(), mods)
}

func (e *Engine) showSLS(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.shown(ctx, args, func(c *call) (any, error) {
		high, err := c.tree(ctx)
		if err != nil {
			return nil, err
		}
		return high.Data(), nil
	})
}

func low(high *compile.High) []any {
	all := []any{}
	for _, c := range high.Low() {
		all = append(all, c.Data())
	}
	return all
}

// showLowSLS gives, as Salt's, the chunks before extend and inverse requisites are in effect.
func (e *Engine) showLowSLS(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.shown(ctx, args, func(c *call) (any, error) {
		high, err := c.tree(ctx)
		if err != nil {
			return nil, err
		}
		return low(high), nil
	})
}

func (e *Engine) showTop(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.shown(ctx, args, func(c *call) (any, error) {
		mods, err := c.top(ctx)
		return mods.Data(), err
	})
}

// highest puts the highstate together.
func (c *call) highest(ctx context.Context) (*compile.High, error) {
	mods, err := c.top(ctx)
	if err != nil {
		return nil, err
	}
	return c.finished(ctx, mods)
}

func (e *Engine) showStates(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.shown(ctx, args, func(c *call) (any, error) {
		high, err := c.highest(ctx)
		if err != nil {
			return nil, err
		}
		names := []any{}
		for _, chunk := range high.Low() {
			if !slices.Contains(names, any(chunk.SLS)) {
				names = append(names, chunk.SLS)
			}
		}
		return names, nil
	})
}

// showHighstate gives, as Salt's, what is declared before extend and inverse requisites are in effect.
func (e *Engine) showHighstate(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.shown(ctx, args, func(c *call) (any, error) {
		mods, err := c.top(ctx)
		if err != nil {
			return nil, err
		}
		high, err := compile.Tree(ctx, c.source(), mods)
		if err != nil {
			return nil, err
		}
		return high.Data(), nil
	})
}

func (e *Engine) showLowstate(ctx context.Context, args *data.Map) (*Answer, error) {
	return e.shown(ctx, args, func(c *call) (any, error) {
		high, err := c.highest(ctx)
		if err != nil {
			return nil, err
		}
		return low(high), nil
	})
}
