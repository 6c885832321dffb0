package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	downloadTries = 8                // in a row without a byte
	longestPause  = 5 * time.Second  // of the back-off
	stallTime     = 60 * time.Second // without a byte, then the connection counts as cut
)

// download reads an archive over HTTP and survives cut connections: it goes on where it was. Not for concurrent use.
type download struct {
	ctx    context.Context // of the job that reads it
	client *http.Client
	url    *url.URL
	agent  string        // User-Agent
	pause  time.Duration // the first one
	stall  time.Duration

	body   io.ReadCloser // nil: connect first
	cancel context.CancelFunc
	timer  *time.Timer // ends a stalled connection
	etag   string
	got    int64
	fails  int
	err    error // why it was given up
}

// open returns an archive's reader. A host is put into a URL that has none.
func (r *Runner) open(ctx context.Context, address string) (*download, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the archive's URL is malformed") // which may be a secret
	}
	if u.Hostname() == "" {
		u.Host = net.JoinHostPort(r.cfg.MasterHost, cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	}
	return &download{
		ctx: ctx, client: r.cfg.HTTP, url: u, agent: "brine-minion/" + r.cfg.Version, pause: r.retry, stall: stallTime,
	}, nil
}

// Read gives the archive's bytes in order, whatever happens to connections.
func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		if d.body == nil {
			if err := d.connect(); err != nil {
				d.again(err)
				continue
			}
		}
		n, err := d.body.Read(p)
		if n > 0 {
			d.fails = 0
			d.got += int64(n)
			d.timer.Reset(d.stall)
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		d.Close()
		if n > 0 {
			return n, nil
		}
		d.again(err)
	}
	return 0, d.err
}

// Close ends the connection.
func (d *download) Close() {
	if d.body != nil {
		_ = d.body.Close() // nothing was written
		d.body = nil
	}
	if d.cancel != nil {
		d.timer.Stop()
		d.cancel()
		d.cancel = nil
	}
}

// again waits for the next try, or gives up.
func (d *download) again(err error) {
	d.Close()
	d.fails++
	final, isFinal := errors.AsType[*refusedError](err)
	switch {
	case d.ctx.Err() != nil:
		d.err = fmt.Errorf("fetch archive from %s: %w", d.url.Host, context.Cause(d.ctx))
		return
	case isFinal:
		d.err = final
		return
	case d.fails >= downloadTries:
		d.err = fmt.Errorf("fetch archive from %s: given up after %d tries at byte %d: %w", d.url.Host, d.fails, d.got, withoutURL(err))
		return
	}
	pause := min(d.pause<<(d.fails-1), longestPause)
	select {
	case <-time.After(pause/2 + rand.N(pause/2+1)):
	case <-d.ctx.Done():
	}
}

// withoutURL drops the URL from the error: its query may be a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func (d *download) connect() error {
	ctx, cancel := context.WithCancel(d.ctx)
	d.cancel, d.timer = cancel, time.AfterFunc(d.stall, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return &refusedError{host: d.url.Host, why: "its URL is malformed"}
	}
	req.Header.Set("User-Agent", d.agent)
	req.Header.Set("Accept-Encoding", "identity")
	if d.got > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.got))
		if d.etag != "" {
			req.Header.Set("If-Match", d.etag)
		}
	}
	resp, err := d.client.Do(req) //nolint:bodyclose // Close closes it
	if err != nil {
		return err
	}
	d.body = resp.Body
	return d.accept(resp)
}

// accept brings the answer to the byte that is wanted next.
func (d *download) accept(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		if etag := resp.Header.Get("ETag"); !strings.HasPrefix(etag, "W/") {
			d.etag = etag
		}
		if _, err := io.CopyN(io.Discard, resp.Body, d.got); err != nil { // a server without ranges
			return fmt.Errorf("skip to byte %d: %w", d.got, err)
		}
		return nil
	case code == http.StatusPartialContent:
		from, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes "), "-")
		if start, err := strconv.ParseInt(from, 10, 64); err != nil || start != d.got {
			return &refusedError{host: d.url.Host, why: "it sent another range than was asked for"}
		}
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return errors.New(resp.Status)
	default:
		return &refusedError{host: d.url.Host, why: resp.Status + meaning(code)}
	}
}

// refusedError is an answer that trying again does not change.
type refusedError struct{ host, why string }

func (e *refusedError) Error() string { return "fetch archive from " + e.host + ": " + e.why }

func meaning(code int) string {
	switch code {
	case http.StatusForbidden, http.StatusGone:
		return ": its URL has expired or is not valid; deploy again"
	case http.StatusNotFound:
		return ": it is not in the store any more"
	case http.StatusPreconditionFailed:
		return ": it changed while it was fetched"
	default:
		return ""
	}
}
