package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// maxTries is how many members one request is tried on.
const maxTries = 3

var (
	errNobody  = errors.New("no member of the pool is up")
	errCutOff  = errors.New("cut off: the member had to leave the pool")
	errClosing = errors.New("cut off: the proxy ends")
)

// exchange is one request on one member, from the moment that the member was chosen until the answer has been passed
// on, or, if the connection was upgraded, until that ended.
type exchange struct{ cancel context.CancelCauseFunc }

// newTransport makes a member's own connections. One that the member closed while it was idle is replaced by
// http.Transport itself, without harm to the request.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // what the client asked for is what the member hears
	}
}

// handler is the pool's reverse proxy. What a client says in X-Forwarded headers is not believed and replaced.
func (p *pool) handler() http.Handler {
	relay := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.URL.RawQuery = r.In.URL.RawQuery // also what Go cannot parse
			r.SetXForwarded()
		},
		Transport:    p,
		ErrorHandler: p.explain,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, end := context.WithCancel(r.Context())
		defer end()
		relay.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (p *pool) explain(w http.ResponseWriter, r *http.Request, err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, errNobody):
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case r.Context().Err() != nil: // the client has gone
		w.WriteHeader(http.StatusBadGateway)
	case errors.As(err, &timeout) && timeout.Timeout():
		p.log.Warn("request timed out", "method", r.Method, "error", err)
		http.Error(w, "the server behind the proxy did not answer in time", http.StatusGatewayTimeout)
	default:
		p.log.Warn("request failed", "method", r.Method, "error", err)
		http.Error(w, "the server behind the proxy cannot be reached", http.StatusBadGateway)
	}
}

// RoundTrip implements http.RoundTripper for the pool's reverse proxy: it chooses a member, and another one if the
// request has done nothing to the first. The exchange ends with r's context.
func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	body := &untouched{ReadCloser: r.Body}
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = body
	}
	err := errNobody
	for tried := []*member(nil); len(tried) < maxTries; {
		ctx, cancel := context.WithCancelCause(r.Context())
		e := &exchange{cancel}
		m := p.pick(e, tried)
		if m == nil {
			cancel(nil)
			return nil, err
		}
		var res *http.Response
		out.URL.Host = m.Address
		if res, err = m.transport.RoundTrip(out.WithContext(ctx)); err == nil {
			if answer := res.Body; res.StatusCode == http.StatusSwitchingProtocols {
				context.AfterFunc(ctx, func() { _ = answer.Close() }) // nobody else does when the exchange is cut off
			}
			context.AfterFunc(ctx, func() { p.done(e, m) })
			return res, nil
		}
		p.done(e, m)
		cancel(nil)
		if r.Context().Err() != nil || !harmless(out, body, err) {
			return nil, err
		}
		tried = append(tried, m)
	}
	return nil, err
}

// harmless reports whether a request that failed with err may be sent again: it never left, or it changes nothing.
func harmless(r *http.Request, body *untouched, err error) bool {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return !body.read.Load()
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Body == nil || r.Body == http.NoBody
	}
	return false
}

// untouched is a request's body that outlives a transport that could not send it. The server closes it in the end.
type untouched struct {
	io.ReadCloser
	read atomic.Bool
}

func (u *untouched) Read(b []byte) (int, error) {
	u.read.Store(true)
	return u.ReadCloser.Read(b)
}

func (u *untouched) Close() error { return nil }
