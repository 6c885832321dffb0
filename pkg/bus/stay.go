package bus

import (
	"context"
	"errors"
	"time"
)

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	soonPause  = 10 * time.Millisecond
	// lasted is how long a connection has to live to be a good one.
	lasted = time.Minute
)

// ErrSoon is what serve's error wraps when the other side is expected to be glad of a new connection at once: it has just
// accepted the key. The pauses begin shorter then.
var ErrSoon = errors.New("connect again soon")

// Stay keeps a connection to the master until ctx is done: it dials, gives the connection to serve, closes it when
// serve returns, and begins again, after a pause that doubles from half a second to half a minute, give or take half
// of it, and is short again after a connection that lasted. Each failure is told to onError with the pause that
// follows; a connection that was only old enough is not one. Stay returns ctx's error.
func Stay(ctx context.Context, cfg ClientConfig, serve func(context.Context, *Client) error, onError func(err error, next time.Duration)) error {
	pause, soon := firstPause, soonPause
	for {
		start := time.Now()
		err := visit(ctx, cfg, serve)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(start) > lasted {
			pause = firstPause
		}
		next := jitter(pause, 0.5)
		if errors.Is(err, ErrSoon) && soon < pause {
			next = jitter(soon, 0.5)
			soon, pause = 4*soon, pause/2
		}
		if !errors.Is(err, errRecycled) && onError != nil {
			onError(err, next)
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, lastPause)
	}
}

// visit is one connection.
func visit(ctx context.Context, cfg ClientConfig, serve func(context.Context, *Client) error) error {
	c, err := Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it gives none
	return serve(ctx, c)
}
