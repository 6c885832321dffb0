package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// client speaks the API of pkg/fleet/api.go over the master's Unix socket. It may be used concurrently. Its errors are a
// *fleet.Problem that the master answered, an *unreachable, or what broke an answer off.
type client struct {
	http   *http.Client
	socket string
}

func newClient(socket string) *client {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, &unreachable{socket: socket, err: err}
			}
			return conn, nil
		},
	}
	return &client{http: &http.Client{Transport: transport}, socket: socket}
}

// get asks for path and decodes the answer into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// post sends in, which may be nil, and decodes the answer into out.
func (c *client) post(ctx context.Context, path string, query url.Values, in, out any) error {
	return c.call(ctx, http.MethodPost, path, query, in, out)
}

func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	body, err := c.open(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("read answer of the master to %s %s: %w", method, path, err)
	}
	return nil
}

// open sends a request and gives the body of an answer that is no failure.
func (c *client) open(ctx context.Context, method, path string, query url.Values, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(raw)
	}
	target := "http://master" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make request %s %s: %w", method, path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plainly(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, refusal(resp)
}

// plainly takes the method and URL that net/http puts around an error off again.
func plainly(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if gone, ok := errors.AsType[*unreachable](err); ok {
		return gone
	}
	return fmt.Errorf("ask the master: %w", err)
}

// troubled is a failure of the master itself, which may pass: it is going down or coming up.
type troubled struct{ *fleet.Problem }

// Unwrap gives the problem.
func (t *troubled) Unwrap() error { return t.Problem }

// maxProblem bounds what is read of an answer that failed.
const maxProblem = 1 << 20

func refusal(resp *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("read answer of the master: %w", err)
	}
	var p fleet.Problem
	if json.Unmarshal(raw, &p) != nil || p.Message == "" {
		p = fleet.Problem{Message: fmt.Sprintf("the master answered %s: %s", resp.Status, strings.TrimSpace(string(raw)))}
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return &troubled{&p}
	}
	return &p
}
