// Package blobs is the master's own endpoint for archives whose store cannot hand them out itself: signed URLs that
// expire. Who has such a URL gets an encrypted archive, which is worth nothing without the key in the job.
package blobs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/store"
)

// Path is where the endpoint is mounted; the object's name follows.
const Path = "/v1/blobs/"

// Getter is the store as the endpoint needs it; a store.Driver is one.
type Getter interface {
	Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error)
	Stat(ctx context.Context, name string) (int64, error)
}

// Endpoint answers GET and HEAD for the URLs that it made, or that another with the same secret made. It knows one range:
// "bytes=N-", which resumes a fetch, and its kin. It lists nothing.
type Endpoint struct {
	store  Getter
	secret []byte
	now    func() time.Time
}

var _ http.Handler = (*Endpoint)(nil)

// New makes an endpoint. The secret signs the URLs; a new one makes all older URLs worthless.
func New(store Getter, secret []byte) *Endpoint {
	return &Endpoint{store: store, secret: secret, now: time.Now}
}

// URL gives the address of an object until expires, to the second. The base is a scheme and an address, as in
// "https://master:4511" or "http://:4511", whose empty host the minion fills in; a path in front is kept.
func (e *Endpoint) URL(base, name string, expires time.Time) string {
	until := strconv.FormatInt(expires.Unix(), 10)
	query := url.Values{"expires": {until}, "sig": {hex.EncodeToString(e.sign(name, until))}}
	return strings.TrimSuffix(base, "/") + Path + (&url.URL{Path: name}).EscapedPath() + "?" + query.Encode()
}

func (e *Endpoint) sign(name, until string) []byte {
	mac := hmac.New(sha256.New, e.secret)
	fmt.Fprintf(mac, "brine blob\n%s\n%s", until, name) // an until with a line end, which would move the border, is no number
	return mac.Sum(nil)
}

// ServeHTTP implements http.Handler: 403 for a signature that is wrong, 410 for one that has expired, 404 for an object
// that is gone, 503 when the store does not answer.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Path)
	if code, why := e.judge(name, r.URL.Query()); code != http.StatusOK {
		http.Error(w, why, code)
		return
	}
	size, err := e.store.Stat(r.Context(), name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		http.Error(w, "this archive is not in the store any more", http.StatusNotFound)
	case err != nil:
		// Who asks has a URL of ours, and its return is where an operator looks.
		http.Error(w, "the store does not answer: "+err.Error(), http.StatusServiceUnavailable)
	default:
		e.serve(w, r, name, size)
	}
}

func (e *Endpoint) judge(name string, query url.Values) (code int, why string) {
	until := query.Get("expires")
	sig, err := hex.DecodeString(query.Get("sig"))
	if err != nil || !hmac.Equal(sig, e.sign(name, until)) {
		return http.StatusForbidden, "the signature of this URL is wrong"
	}
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil || !e.now().Before(time.Unix(seconds, 0)) {
		return http.StatusGone, "this URL has expired"
	}
	return http.StatusOK, ""
}

// serve leaves ranges and conditions to the standard library. An object never changes, so its name is its ETag.
func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request, name string, size int64) {
	content := &seeker{ctx: r.Context(), store: e.store, name: name, size: size}
	defer content.close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", strconv.Quote(name))
	w.Header().Set("Cache-Control", "private, no-store")
	http.ServeContent(w, r, "", time.Time{}, content)
}
