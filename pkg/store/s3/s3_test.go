package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/s3"
	"github.com/brine-deploy/brine/pkg/store/storetest"
)

const access, secret = "AKbrine", "very-secret"

// server starts a real S3 server over a directory, and gives its URL and the directory, whose folders are its buckets.
func server(t *testing.T) (url, buckets string) {
	t.Helper()
	program, err := exec.LookPath("versitygw")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("needs versitygw")
	}
	if err != nil {
		t.Skip("needs versitygw (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	buckets = t.TempDir()
	cmd := exec.Command(program, "--port", address, "--access", access, "--secret", secret, "--quiet", "posix", buckets)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return "http://" + address, buckets
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, cfg s3.Config) *s3.Bucket {
	t.Helper()
	cfg.PathStyle, cfg.AccessKey, cfg.SecretKey = true, access, fleet.Secret(secret)
	b, err := s3.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBucketKeepsTheContract(t *testing.T) {
	url, buckets := server(t)
	var n atomic.Int64
	storetest.Suite(t, func(t *testing.T) store.Driver {
		bucket := fmt.Sprintf("bucket-%d", n.Add(1))
		if err := os.Mkdir(filepath.Join(buckets, bucket), 0o755); err != nil {
			t.Fatal(err)
		}
		return open(t, s3.Config{Bucket: bucket, Prefix: "/some/folder", Endpoint: url})
	})
}

func TestErrorsSayWhatToMend(t *testing.T) {
	url, buckets := server(t)
	if err := os.Mkdir(filepath.Join(buckets, "there"), 0o755); err != nil {
		t.Fatal(err)
	}
	missing := open(t, s3.Config{Bucket: "missing", Endpoint: url})
	_, stat := missing.Stat(t.Context(), "app/x")
	_, get := missing.Get(t.Context(), "app/x", 0)
	for what, err := range map[string]error{"stat": stat, "get": get, "put": missing.Put(t.Context(), "app/x", strings.NewReader("x"), 1)} {
		if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), `bucket "missing" does not exist`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	stranger, err := s3.New(t.Context(), s3.Config{Bucket: "there", Endpoint: url, PathStyle: true, AccessKey: access, SecretKey: "guess"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Get(t.Context(), "app/x", 0); err == nil || !strings.Contains(err.Error(), "not allowed") || strings.Contains(err.Error(), "guess") {
		t.Errorf("wrong secret: %v", err)
	}
	for what, cfg := range map[string]s3.Config{"bucket is missing": {}, "go together": {Bucket: "b", AccessKey: "k"}} {
		if _, err := s3.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestAnUnwellServerIsWorthAnotherTry(t *testing.T) {
	unwell := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer unwell.Close()
	b := open(t, s3.Config{Bucket: "b", Endpoint: unwell.URL})
	if _, err := b.Get(t.Context(), "app/x", 0); !errors.Is(err, store.ErrTemporary) {
		t.Errorf("503: %v", err)
	}
	unwell.Close()
	if _, err := b.Get(t.Context(), "app/x", 0); !errors.Is(err, store.ErrTemporary) {
		t.Errorf("connection refused: %v", err)
	}
}
