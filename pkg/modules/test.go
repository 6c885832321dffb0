package modules

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
)

func testFamily() map[string]Function {
	return map[string]Function{
		"test.ping":  {Doc: "True: this minion answers.\n  test.ping", Run: constant(true)},
		"test.true":  {Doc: "True.\n  test.true", Run: constant(true)},
		"test.false": {Doc: "False.\n  test.false", Run: constant(false)},
		"test.echo": {
			Doc: "The text that it is given.\ntext\n  test.echo hello", Params: []string{"text"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) { return arg(args, "text", nil), nil },
		},
		"test.arg": {
			Doc: "Its arguments, by place and by name.\n  test.arg 1 two=2", Params: []string{"*"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return data.NewMap("args", rest(args), "kwargs", named(args)), nil
			},
		},
		"test.kwarg": {
			Doc: "Its arguments by name.\n  test.kwarg a=1", Params: []string{"*"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) { return named(args), nil },
		},
		"test.exception": {
			Doc: "An error with the given message.\nmessage\n  test.exception oops", Params: []string{"message"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				return nil, errors.New(stringArg(args, "message", "Test Exception"))
			},
		},
		"test.sleep": {
			Doc: "True after some seconds.\nlength\n  test.sleep 2", Params: []string{"length"},
			Run: testSleep,
		},
		"test.fib": {
			Doc: "A number of Fibonacci's row, and the seconds that finding it took.\nnum\n  test.fib 30", Params: []string{"num"},
			Run: testFib,
		},
	}
}

func constant(v any) func(context.Context, *Env, *data.Map) (any, error) {
	return func(context.Context, *Env, *data.Map) (any, error) { return v, nil }
}

// named are the arguments by name of a function that takes any.
func named(args *data.Map) *data.Map {
	out := data.Merge(args, nil, "", false)
	out.Delete("*")
	return out
}

func testSleep(ctx context.Context, _ *Env, args *data.Map) (any, error) {
	var wait time.Duration
	switch n := arg(args, "length", int64(0)).(type) {
	case int64:
		wait = time.Duration(n) * time.Second
	case float64:
		wait = time.Duration(n * float64(time.Second))
	default:
		return nil, fmt.Errorf("%w: length must be a number of seconds", ErrArguments)
	}
	select {
	case <-time.After(wait):
		return true, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func testFib(_ context.Context, _ *Env, args *data.Map) (any, error) {
	n, err := intArg(args, "num", 0)
	if err != nil || n < 0 || n > 90 {
		return nil, fmt.Errorf("%w: num must be a number from 0 to 90", ErrArguments)
	}
	started := time.Now()
	a, b := int64(0), int64(1)
	for range n {
		a, b = b, a+b
	}
	return []any{a, time.Since(started).Seconds()}, nil
}
