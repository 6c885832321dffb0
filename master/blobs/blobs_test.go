package blobs

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/store/mem"
)

const name = "shop/abc.tar.zst.age"

func serve(t *testing.T) (*Endpoint, string) {
	t.Helper()
	objects := new(mem.Mem)
	if err := objects.Put(t.Context(), name, strings.NewReader("0123456789"), 10); err != nil {
		t.Fatal(err)
	}
	e := New(objects, []byte("secret"))
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	return e, srv.URL
}

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOnlySignedURLsAreServed(t *testing.T) {
	e, base := serve(t)
	later := time.Now().Add(time.Minute)
	url := e.URL(base, name, later)
	tests := []struct {
		what, url string
		status    int
	}{
		{"as signed", url, 200},
		{"another name", strings.Replace(url, "abc", "abd", 1), 403},
		{"a later time", strings.Replace(url, "expires=", "expires=9", 1), 403},
		{"no signature", base + Path + name, 403},
		{"no name", base + Path, 403},
		{"expired", e.URL(base, name, time.Now().Add(-time.Minute)), 410},
		{"gone", e.URL(base, "shop/gone.tar.zst.age", later), 404},
	}
	for _, tt := range tests {
		if status, _ := get(t, tt.url); status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.what, status, tt.status)
		}
	}
}

func TestACutDownloadIsResumed(t *testing.T) {
	e, base := serve(t)
	url := e.URL(base, name, time.Now().Add(time.Minute))
	tests := []struct {
		rng    string
		status int
		body   string
	}{
		{"bytes=4-", 206, "456789"},
		{"bytes=0-", 200, "0123456789"},
		{"bytes=2-3", 200, "0123456789"},
		{"bytes=10-", 416, "range not satisfiable\n"},
	}
	for _, tt := range tests {
		if status, body := get(t, url, "Range", tt.rng); status != tt.status || body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.rng, status, body, tt.status, tt.body)
		}
	}
	if status, body := get(t, url, "Range", "bytes=4-", "If-Range", `"another"`); status != 200 || body != "0123456789" {
		t.Errorf("a changed object was resumed: %d %q", status, body)
	}
}
