package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// While a stream is broken the master is tried again, at first soon, then every maxPause, for as long as patience.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	patience   = 5 * time.Minute
)

// records gives a deployment's records to each, in order, every one once, until the deployment has ended. When the
// connection breaks it calls lost, the first time, and goes on where it was.
func (c *client) records(ctx context.Context, id fleet.DeploymentID, each func(fleet.Record), lost func(error)) error {
	var after uint64
	path := "/v1/deployments/" + url.PathEscape(string(id))
	return persist(ctx, lost, func(heard func()) (ended bool, err error) {
		query := url.Values{"follow": {"true"}, "after": {strconv.FormatUint(after, 10)}}
		err = stream(ctx, c, path+"/records", query, func(r fleet.Record) {
			heard()
			if r.Seq <= after {
				return
			}
			after = r.Seq
			ended = ended || r.Kind == fleet.DeploymentChanged && r.Status.Ended()
			each(r)
		})
		if ended || err != nil {
			return ended, err
		}
		var d fleet.Deployment
		err = c.get(ctx, path, nil, &d)
		return err == nil && d.Status.Ended(), err
	})
}

// returns gives the returns to a job, one per minion, until all are in or the deadline has passed.
func (c *client) returns(ctx context.Context, ticket fleet.RunTicket, each func(fleet.Return), lost func(error)) error {
	seen := map[fleet.MinionID]bool{}
	path := "/v1/jobs/" + url.PathEscape(string(ticket.Job)) + "/returns"
	return persist(ctx, lost, func(heard func()) (bool, error) {
		err := stream(ctx, c, path, url.Values{"follow": {"true"}}, func(r fleet.Return) {
			heard()
			if !seen[r.Minion] {
				seen[r.Minion] = true
				each(r)
			}
		})
		over := err == nil && !time.Now().Before(ticket.Deadline)
		return over || len(seen) >= len(ticket.Minions), err
	})
}

// persist makes attempts until one is done. An error that time does not mend ends it at once; a broken connection only
// when nothing was heard for as long as patience.
func persist(ctx context.Context, lost func(error), attempt func(heard func()) (done bool, err error)) error {
	last, pause, told := time.Now(), firstPause, false
	for {
		done, err := attempt(func() { last, pause = time.Now(), firstPause })
		switch {
		case done:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (!passing(err) || time.Since(last) > patience):
			return err
		case err != nil && !told:
			told = true
			lost(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		}
	}
}

// passing reports whether an error may be gone when the master is back.
func passing(err error) bool {
	var temporary *troubled
	var answer *fleet.Problem
	var garbage *json.SyntaxError
	var shape *json.UnmarshalTypeError
	return errors.As(err, &temporary) || !errors.As(err, &answer) && !errors.As(err, &garbage) && !errors.As(err, &shape)
}

// stream reads one connection's JSON lines until the master closes it.
func stream[T any](ctx context.Context, c *client, path string, query url.Values, each func(T)) error {
	body, err := c.open(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	dec := json.NewDecoder(body)
	for {
		var item T
		err := dec.Decode(&item)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read from the master: %w", err)
		}
		each(item)
	}
}
