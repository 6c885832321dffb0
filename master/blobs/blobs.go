// Package blobs is the master's own endpoint for archives, for stores that cannot hand them out themselves. A URL is
// signed and expires; the archives behind it are encrypted, so it need not be secret on its way.
package blobs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/store"
)

// Path is the prefix of every URL; the object's name follows.
const Path = "/v1/blobs/"

// Getter reads objects; every store.Driver is one.
type Getter interface {
	Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
	Stat(ctx context.Context, name string) (int64, error)
}

// Endpoint signs URLs and serves them. It is safe for concurrent use.
type Endpoint struct {
	objects Getter
	secret  []byte
	now     func() time.Time
}

// New makes an endpoint. URLs are good as long as the secret is the same.
func New(objects Getter, secret []byte) *Endpoint {
	return &Endpoint{objects: objects, secret: secret, now: time.Now}
}

// URL is where an object can be fetched until expires. Base is scheme, host and port; minions put the master's host
// into one that has none ("http://:4511").
func (e *Endpoint) URL(base, name string, expires time.Time) string {
	until := strconv.FormatInt(expires.Unix(), 10)
	return strings.TrimSuffix(base, "/") + Path + name + "?expires=" + until + "&signature=" + base64.RawURLEncoding.EncodeToString(e.sign(name, until))
}

func (e *Endpoint) sign(name, until string) []byte {
	mac := hmac.New(sha256.New, e.secret)
	fmt.Fprintf(mac, "brine blob v1\x00%s\x00%s", name, until)
	return mac.Sum(nil)
}

// ServeHTTP answers GET and HEAD of a signed URL: 403 for a wrong signature, 410 for one that has expired, 404 for an
// object that is gone. A range that goes to the end ("bytes=N-") is served, so that a cut download can be resumed.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Path)
	if status := e.check(name, r); status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return
	}
	size, err := e.objects.Stat(r.Context(), name)
	if err != nil {
		refuse(w, err)
		return
	}
	offset, ok := offsetOf(r, size, etag(name))
	if !ok {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		http.Error(w, "range not satisfiable", http.StatusRequestedRangeNotSatisfiable)
		return
	}
	e.send(w, r, name, offset, size)
}

// check looks at the signature first: an expired URL is only called that when it was ours.
func (e *Endpoint) check(name string, r *http.Request) int {
	q := r.URL.Query()
	signature, err := base64.RawURLEncoding.DecodeString(q.Get("signature"))
	if err != nil || !hmac.Equal(signature, e.sign(name, q.Get("expires"))) {
		return http.StatusForbidden
	}
	until, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil {
		return http.StatusForbidden
	}
	if e.now().After(time.Unix(until, 0)) {
		return http.StatusGone
	}
	return http.StatusOK
}

// offsetOf is where the answer begins: 0, or N for "bytes=N-". Other forms of ranges are answered in full, which HTTP
// permits. It is not ok when N is not inside the object.
func offsetOf(r *http.Request, size int64, tag string) (int64, bool) {
	text, isBytes := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	from, open := strings.CutSuffix(text, "-")
	if cond := r.Header.Get("If-Range"); !isBytes || !open || cond != "" && cond != tag {
		return 0, true
	}
	n, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return 0, true
	}
	return n, n >= 0 && n < size
}

// etag of an object is its name: objects are written once.
func etag(name string) string { return strconv.Quote(name) }

func (e *Endpoint) send(w http.ResponseWriter, r *http.Request, name string, offset, size int64) {
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Accept-Ranges", "bytes")
	header.Set("ETag", etag(name))
	header.Set("Content-Length", strconv.FormatInt(size-offset, 10))
	status := http.StatusOK
	if offset > 0 {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
		status = http.StatusPartialContent
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	body, err := e.objects.Get(r.Context(), name, offset)
	if err != nil {
		refuse(w, err)
		return
	}
	defer body.Close() //nolint:errcheck // it is only read
	w.WriteHeader(status)
	_, _ = io.Copy(w, body) // a reader that goes away comes back with a range
}

func refuse(w http.ResponseWriter, err error) {
	clear(w.Header())
	if errors.Is(err, store.ErrNotFound) {
		http.Error(w, "not in the store", http.StatusNotFound)
		return
	}
	http.Error(w, "the store does not answer", http.StatusBadGateway)
}
