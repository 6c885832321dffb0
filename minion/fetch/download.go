package fetch

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

	"github.com/brine-deploy/brine/pkg/fleet"
)

const (
	tries        = 8               // in a row without a byte
	longestPause = 5 * time.Second // of the back-off
)

// errChanged says that the server has another version now than the one that was begun.
var errChanged = errors.New("it changed while it was fetched")

// download reads an archive over HTTP and survives cut connections: it goes on where it was, also where an earlier
// download was. Not for concurrent use.
type download struct {
	ctx     context.Context // of the reading; set before the first Read
	cfg     *Config
	url     *url.URL
	part    *part // gets what comes; may be nil
	resumed int64 // bytes of it that an earlier download left

	body   io.ReadCloser // nil: connect first
	cancel context.CancelFunc
	timer  *time.Timer // ends a stalled connection
	etag   string
	got    int64
	fails  int
	err    error // why it was given up
}

// start returns an archive's reader. A host is put into a URL that has none.
func (f *Fetcher) start(key string, order fleet.ReleaseOrder) (*download, error) {
	u, err := url.Parse(order.URL)
	if err != nil {
		return nil, errors.New("the archive's URL is malformed") // which may be a secret
	}
	if u.Hostname() == "" {
		u.Host = net.JoinHostPort(f.cfg.MasterHost, cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	}
	d := &download{cfg: &f.cfg, url: u}
	if order.Revision.Stored > f.cfg.Bytes {
		return d, nil
	}
	d.part, d.etag = f.cache.openPart(key)
	if d.part != nil {
		d.resumed = d.part.size
	}
	return d, nil
}

// startOver forgets all that came.
func (d *download) startOver() {
	d.close()
	if d.part != nil {
		d.part, _ = d.part.cache.openPart(d.part.key)
		d.part.begin("")
	}
	d.got, d.fails, d.resumed, d.etag, d.err = 0, 0, 0, "", nil
}

// Read gives the archive's bytes in order, whatever happens to connections.
func (d *download) Read(p []byte) (int, error) {
	if left := d.resumed - d.got; left > 0 && d.err == nil {
		n, err := d.part.file.ReadAt(p[:min(int64(len(p)), left)], d.got)
		d.got += int64(n)
		if n > 0 {
			return n, nil
		}
		d.err = fmt.Errorf("read what came of the archive earlier: %w", err)
	}
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
			d.part.add(p[:n])
			d.timer.Reset(d.cfg.Stall)
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		d.hangUp()
		if n > 0 {
			return n, nil
		}
		d.again(err)
	}
	return 0, d.err
}

// close ends the connection; what came is left to the next download.
func (d *download) close() {
	d.hangUp()
	d.part.close()
}

func (d *download) hangUp() {
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
	d.hangUp()
	d.fails++
	final, isFinal := errors.AsType[*refusedError](err)
	switch {
	case d.ctx.Err() != nil:
		d.err = fmt.Errorf("fetch archive from %s: %w", d.url.Host, context.Cause(d.ctx))
		return
	case isFinal:
		d.err = final
		return
	case errors.Is(err, errChanged):
		d.err = fmt.Errorf("fetch archive from %s: %w", d.url.Host, err)
		return
	case d.fails >= tries:
		d.err = fmt.Errorf("fetch archive from %s: given up after %d tries at byte %d: %w", d.url.Host, d.fails, d.got, withoutURL(err))
		return
	}
	pause := min(d.cfg.Pause<<(d.fails-1), longestPause)
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
	d.cancel, d.timer = cancel, time.AfterFunc(d.cfg.Stall, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return &refusedError{host: d.url.Host, why: "its URL is malformed"}
	}
	req.Header.Set("User-Agent", "brine-minion/"+d.cfg.Version)
	req.Header.Set("Accept-Encoding", "identity")
	if d.got > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.got))
		if d.etag != "" {
			req.Header.Set("If-Range", d.etag)
		}
	}
	resp, err := d.cfg.HTTP.Do(req) //nolint:bodyclose // hangUp closes it
	if err != nil {
		return err
	}
	d.body = resp.Body
	return d.accept(resp)
}

// accept brings the answer to the byte that is wanted next.
func (d *download) accept(resp *http.Response) error {
	etag := resp.Header.Get("ETag")
	if strings.HasPrefix(etag, "W/") {
		etag = "" // of no use for ranges
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK && d.got == 0:
		d.etag = etag
		d.part.begin(etag)
		return nil
	case code == http.StatusOK && etag != d.etag:
		return errChanged
	case code == http.StatusOK: // a server without ranges
		if _, err := io.CopyN(io.Discard, resp.Body, d.got); err != nil {
			return fmt.Errorf("skip to byte %d: %w", d.got, err)
		}
		return nil
	case code == http.StatusPartialContent:
		from, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes "), "-")
		if start, err := strconv.ParseInt(from, 10, 64); err != nil || start != d.got {
			return &refusedError{host: d.url.Host, why: "it sent another range than was asked for"}
		}
		if etag != "" && etag != d.etag {
			return errChanged
		}
		return nil
	case code == http.StatusRequestedRangeNotSatisfiable && d.got > 0:
		return d.atEnd(resp)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return errors.New(resp.Status)
	default:
		return &refusedError{host: d.url.Host, why: resp.Status + meaning(code)}
	}
}

// atEnd takes the refusal of an empty range for the end: an earlier download had got all, and died before it said so.
func (d *download) atEnd(resp *http.Response) error {
	if _, size, ok := strings.Cut(resp.Header.Get("Content-Range"), "*/"); !ok || size != strconv.FormatInt(d.got, 10) {
		return errChanged
	}
	_ = resp.Body.Close() // a text for people
	d.body = http.NoBody
	return nil
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
	default:
		return ""
	}
}
