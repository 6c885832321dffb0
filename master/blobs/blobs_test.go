package blobs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/blobs"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/mem"
)

const content = "sealed archive"

// name is that of a revision, as the master uses it.
func name() string {
	return store.Name(fleet.Revision{App: "shop", Digest: fleet.Digest(strings.Repeat("ab", 32))})
}

// serve gives an endpoint that listens, with one object, and its base.
func serve(t *testing.T) (e *blobs.Endpoint, base string) {
	t.Helper()
	driver := &mem.Mem{}
	if err := driver.Put(t.Context(), name(), strings.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	e = blobs.New(driver, []byte("secret"))
	mux := http.NewServeMux()
	mux.Handle(blobs.Path, e)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return e, server.URL
}

// fetch gives the status and the body.
func fetch(t *testing.T, method, url, ranged string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if ranged != "" {
		req.Header.Set("Range", ranged)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func soon() time.Time { return time.Now().Add(time.Minute) }

func TestASignedURLGivesTheArchiveAndResumes(t *testing.T) {
	e, base := serve(t)
	url := e.URL(base, name(), soon())
	for _, c := range []struct {
		method, ranged string
		code           int
		body           string
	}{
		{http.MethodGet, "", 200, content},
		{http.MethodHead, "", 200, ""},
		{http.MethodGet, "bytes=7-", 206, content[7:]},
		{http.MethodGet, "bytes=2-4", 206, content[2:5]},
		{http.MethodGet, "bytes=-7", 206, content[7:]},
		{http.MethodGet, "bytes=99-", 416, "invalid range: failed to overlap\n"},
		{http.MethodPost, "", 405, "only GET and HEAD\n"},
	} {
		resp, body := fetch(t, c.method, url, c.ranged)
		if resp.StatusCode != c.code || body != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.ranged, resp.StatusCode, body, c.code, c.body)
		}
		if c.method == http.MethodHead && resp.ContentLength != int64(len(content)) {
			t.Errorf("HEAD: length %d", resp.ContentLength)
		}
	}
}

func TestOnlyWhatWasSignedIsServedAndNotForEver(t *testing.T) {
	e, base := serve(t)
	good := e.URL(base, name(), soon())
	other := name()[:10] + "cc" + name()[12:]
	for what, c := range map[string]struct {
		url  string
		code int
	}{
		"expired":         {e.URL(base, name(), time.Now().Add(-time.Second)), 410},
		"gone":            {e.URL(base, other, soon()), 404},
		"unsigned":        {base + blobs.Path + name(), 403},
		"no signature":    {good[:strings.Index(good, "&sig=")], 403},
		"altered":         {good[:len(good)-2] + "zz", 403},
		"cut":             {good[:len(good)-2], 403},
		"longer":          {strings.Replace(good, "expires=", "expires=9", 1), 403},
		"another archive": {strings.Replace(good, name(), other, 1), 403},
		"another secret":  {blobs.New(nil, []byte("guess")).URL(base, name(), soon()), 403},
		"a listing":       {base + blobs.Path, 403},
		"an app":          {base + blobs.Path + "shop/", 403},
		"a signed folder": {e.URL(base, "shop", soon()), 404},
		"a way out":       {strings.Replace(good, name(), "%2e%2e/%2e%2e/etc/passwd", 1), 403},
	} {
		if resp, body := fetch(t, http.MethodGet, c.url, ""); resp.StatusCode != c.code || strings.Contains(body, content) {
			t.Errorf("%s: %d %q, want %d", what, resp.StatusCode, body, c.code)
		}
	}
}

func TestURLsKeepTheBaseThatTheMinionCompletes(t *testing.T) {
	e := blobs.New(nil, []byte("secret"))
	for base, want := range map[string]string{"http://:4511": "http://:4511/v1/blobs/shop/", "https://m.example.org/brine/": "https://m.example.org/brine/v1/blobs/shop/"} {
		if url := e.URL(base, name(), soon()); !strings.HasPrefix(url, want) {
			t.Errorf("%s: %s", base, url)
		}
	}
}

// away is a store that does not answer, or answers only half.
type away struct {
	mem.Mem
	stat error
}

func (a *away) Stat(context.Context, string) (int64, error) { return 100, a.stat }

func (a *away) Get(context.Context, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("half")), nil
}

func TestAStoreThatIsAwayIsNoMissingArchive(t *testing.T) {
	e := blobs.New(&away{stat: errors.New("disk on fire")}, []byte("secret"))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, e.URL("", name(), soon()), http.NoBody))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "disk on fire") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestAnArchiveThatBreaksOffIsSeenAsCutShort(t *testing.T) {
	e := blobs.New(&away{}, []byte("secret"))
	server := httptest.NewServer(e)
	defer server.Close()
	resp, err := http.Get(e.URL(server.URL, name(), soon()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", b, err)
	}
}
